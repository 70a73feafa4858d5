#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/lossy_map.h"
#include "base/result.h"
#include "base/task.h"
#include "lock/decided.h"
#include "lock/lock_record.h"
#include "store/lease_store.h"

namespace sharedlock {

// Locks, by their keys, as this server wrote them last, so that a renewal or a release needs no look first: each hangs
// on a lease, and its `revision` is that of the write. What stands there may have changed since; what a revision wrote
// never changes. So a commit that rests on it expects that very revision, and succeeds or gets a Conflict. A place in
// use takes some 500 bytes. Where no other server writes, a look costs little: there only renewed locks are remembered,
// for end_of(). Thread-safe. The store must outlive it.
class WrittenLocks {
 public:
  explicit WrittenLocks(LeaseStore& store) : store_(store) {}

  // A commit has carried out that decision; what was written hangs on that lease.
  void note(const std::string& key, const Decided& outcome, LeaseId lease);

  // What stands there turned out to be something else.
  void forget(const std::string& key) { locks_.forget(key); }

  // The lock as it was written last; nothing where that is not known, or a look costs little.
  std::optional<HeldLock> recall(const std::string& key) const;

  // When the lease of the lock, as it was seen, ends: known where this server wrote that revision, else the store is
  // asked. Nothing: it has ended. The lock must outlive the call.
  Task<Result<std::optional<PresentEnd>>> end_of(const std::string& key, const HeldLock& lock, Deadline deadline) const;

  // After a commit with unknown outcome: whether the promise that its answer would make, counted from `received`, is
  // true of the entry that stands there now. Both must outlive the call.
  Task<Result<bool>> lives_as_promised(const Decision& decision, const std::optional<Entry>& stands, BootTime received,
                                       Deadline deadline) const;

 private:
  LeaseStore& store_;
  LossyMap<std::string, HeldLock, 1 << 14> locks_;
};

}  // namespace sharedlock
