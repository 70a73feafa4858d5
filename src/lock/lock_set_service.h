#pragma once

#include <optional>

#include "base/result.h"
#include "base/task.h"
#include "lock/lock_answers.h"
#include "lock/lock_parts.h"
#include "lock/lock_service.h"
#include "lock/lock_waiting.h"
#include "lock/types.h"
#include "queue/wait_queues.h"

namespace sharedlock {

// Several locks at once: all of them, or none. A set is taken, renewed and released by the rules of single locks, over
// the same parts. `each` says what is asked for each lock; `each.lock` is ignored. Errors are those of LockService.
// Thread-safe. The LockService must outlive it.
class LockSetService {
 public:
  explicit LockSetService(LockService& locks) : parts_(locks.parts()), waiting_(parts_) {}

  // As LockService::acquire(). Names that the caller holds already are taken anew with the others. Overlapping sets
  // never deadlock, whatever the order of their names. Each grant that nobody was told of goes to
  // LockService::take_back().
  Task<Result<SetAnswer>> acquire_all(LockSet set, AcquireRequest each);

  // As LockService::renew().
  Task<Result<SetAnswer>> renew_all(LockSet set, RenewRequest each);

  // As LockService::release(). Nothing: all are released, or were free.
  Task<Result<std::optional<SetRefused>>> release_all(LockSet set, ReleaseRequest each);

 private:
  Task<Result<SetAnswer>> acquire_all_in_queue(LockSet set, AcquireRequest each);
  SetRefused refused_in_queue(const LockSet& set, const AcquireRequest& request, const WaitQueues::Waiter& waiter,
                              const LockWaiting::TimeUp& seen) const;

  LockParts& parts_;
  LockWaiting waiting_;
};

}  // namespace sharedlock
