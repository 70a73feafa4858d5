#pragma once

#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/lease_store.h"

namespace sharedlock {

// A lease as written to disk: its ttl, but no deadline. After a restart it lives for its full ttl again.
struct JournalLease {
  LeaseId id;
  bool own;  // an OwnLease; else a pooled one
  Ttl ttl;

  bool operator==(const JournalLease&) const = default;
};

// One record to write or delete.
struct EraseEntry {
  std::string key;
};
struct EndLease {
  LeaseId id;
};
using JournalWrite = std::variant<KeyedEntry, EraseEntry, JournalLease, EndLease>;

// What one change writes, in that order: state, not a log. Applied in full or not at all.
struct JournalBatch {
  std::vector<JournalWrite> writes;
  std::optional<Revision> reserved;  // revisions up to here may be issued

  bool empty() const { return writes.empty() && !reserved; }
};

// Changes that are written at once, in that order. Not a vector: it grows while callers wait.
using JournalGroup = std::deque<JournalBatch>;

// What a journal holds when it is opened.
struct JournalState {
  std::vector<KeyedEntry> entries;  // in key order
  std::vector<JournalLease> leases;
  Revision reserved{};
};

// Where the embedded store writes its state: the seam at which tests lose unsynced data. Used by one thread at a time.
class Journal {
 public:
  virtual ~Journal() = default;

  // Everything that was appended before; called once, first. corrupt: some or all of the data can't be understood; then
  // nothing is returned.
  virtual Result<JournalState> load() = 0;

  // Writes all of `group` or nothing, and returns when it is on disk. After an error it is unknown whether the group is
  // there, and nothing may be appended until the journal is reopened.
  virtual Result<void> append(const JournalGroup& group) = 0;
};

}  // namespace sharedlock
