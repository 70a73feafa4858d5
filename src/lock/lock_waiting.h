#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "lock/lock_answers.h"
#include "lock/lock_parts.h"
#include "lock/lock_record.h"
#include "lock/types.h"
#include "queue/queue_state.h"
#include "queue/wait_queues.h"

namespace sharedlock {

// Acquires that wait in queues, for one lock or for several: from joining to the commit that takes the locks.
// Holds no state of its own. Thread-safe. The parts must outlive it.
class LockWaiting {
 public:
  explicit LockWaiting(LockParts& parts) : parts_(parts) {}

  // Nothing was taken before the time was up.
  struct TimeUp {
    std::vector<std::optional<HeldLock>> locks;  // as they stood then: [i] of names[i]
    QueueState::EntryFate entries{};             // and whether the waiter's entries did
  };
  using Waited = std::variant<SetGrant, TimeUp, WaitEnd>;

  // Joins the queues of all names, on the executor of the coroutine that is to wait.
  WaitQueues::Waiter enter(Executor executor, const LockSet& set, const AcquireRequest& request);

  // Waits until all are taken, together, or the request's time is up; `request.lock` is ignored. A grant that came too
  // late after its turn is taken back in the background and is `unavailable`. Errors are those of LockService. All that
  // it is given must live until the answer.
  Task<Result<Waited>> wait_for_all(const LockSet& set, const AcquireRequest& request, WaitQueues::Waiter& waiter);

  // A client that releases what it does not hold may have waited for it, and will not come back (R37). A release with a
  // token gives up nothing: it means a holding, and may be a late duplicate. `names`: as in LockKeys::names_of().
  void give_up(const ReleaseRequest& request, const std::vector<std::string>& names);

 private:
  Task<Result<std::optional<SetGrant>>> take_turn(const LockSet& set, const AcquireRequest& request,
                                                  WaitQueues::Turn& turn);
  Task<Result<TimeUp>> look_as_time_is_up(const LockSet& set, QueueState::Join join);

  LockParts& parts_;
};

}  // namespace sharedlock
