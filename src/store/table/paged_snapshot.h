#pragma once

#include <string>
#include <vector>

#include "store/lease_store.h"
#include "store/table/lease_table.h"

namespace sharedlock {

// Copies what a table holds under a prefix page by page, so that nobody waits while all of it is copied, and yet as of
// one revision: what changes meanwhile in pages that were taken already is noted, and made good in the end. Not
// thread-safe: whatever guards the table guards this, but for finish().
class PagedSnapshot {
 public:
  explicit PagedSnapshot(std::string prefix) : prefix_(std::move(prefix)) {}

  // Takes the next page; false when that was the last one, after which nothing is to be noted any more.
  bool take_page(const LeaseTable& table);

  // What the table changed since the first page: to be told of all of it, in order.
  void note(const std::vector<Change>& changes);

  Revision as_of() const { return as_of_; }

  // After the last page: the state as of as_of(), in key order.
  Snapshot finish() &&;

 private:
  const std::string prefix_;
  std::vector<std::vector<KeyedEntry>> pages_;
  std::string last_key_;         // of the pages taken
  std::vector<Change> changes_;  // to keys up to there
  Revision as_of_{};
};

}  // namespace sharedlock
