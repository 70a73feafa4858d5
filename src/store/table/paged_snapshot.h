#pragma once

#include <string>
#include <vector>

#include "store/lease_store.h"
#include "store/table/lease_table.h"

namespace sharedlock {

// Copies a table's entries under a prefix page by page, so that no caller waits while all of it is copied, and yet as
// of one revision: changes to pages already taken are noted, and applied at the end. Not thread-safe: whatever guards
// the table guards this, except finish().
class PagedSnapshot {
 public:
  explicit PagedSnapshot(std::string prefix) : prefix_(std::move(prefix)) {}

  // Takes the next page; false when that was the last one, after which nothing more may be noted.
  bool take_page(const LeaseTable& table);

  // The table's changes since the first page: pass in all of them, in order.
  void note(const std::vector<Change>& changes);

  Revision as_of() const { return as_of_; }

  // After the last page: the state as of as_of(), in key order.
  Snapshot finish() &&;

 private:
  const std::string prefix_;
  std::vector<std::vector<KeyedEntry>> pages_;
  std::string last_key_;         // of the pages taken
  std::vector<Change> changes_;  // to keys up to last_key_
  Revision as_of_{};
};

}  // namespace sharedlock
