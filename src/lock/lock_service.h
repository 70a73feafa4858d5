#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/function_ref.h"
#include "base/log.h"
#include "base/result.h"
#include "base/task.h"
#include "lock/commit_attempt.h"
#include "lock/decided.h"
#include "lock/lock_answers.h"
#include "lock/lock_parts.h"
#include "lock/lock_waiting.h"
#include "lock/rules.h"
#include "lock/types.h"
#include "store/lease_store.h"

namespace sharedlock {

// Named locks over a LeaseStore: look, decide (rules.h), commit at the revision seen; a lost race is decided again on
// what the winner left. An acquire of a lock that is probably free skips the look. Where a look costs a network round
// trip, so does a renewal or release of what this server wrote last. Thread-safe. The store, the clock and the log must
// outlive it.
//
// Errors of all calls: `unavailable` and `deadline_exceeded` leave the outcome unknown, also when every retry lost its
// race; `corrupt` when the record can't be read (it is left alone, its key is in the log).
class LockService {
 public:
  LockService(const LockServiceOptions& options, LeaseStore& store, Clock& clock, Log& log);
  ~LockService();  // waits for what runs in the background, but tries nothing again; the store must still answer

  // Begins a holding with a new, higher token, even when the caller holds the lock already. A refused request that
  // asked to wait joins the end of the queue, and no request overtakes the queue. A grant on a free lock that took
  // longer than half its duration (after waiting: from its turn) is taken back in the background and reported as
  // `unavailable`, since too little of it is left.
  // The request must live until the answer.
  Task<Result<LockAnswer>> acquire(const AcquireRequest& request);

  // Undoes a grant in the background, on that executor, because its holder was gone before it could be told (R3). A
  // grant that replaces a holding is left alone: its owner may still count on the earlier one. Tried for as long as the
  // lock may live; failure is logged.
  void take_back(Executor executor, const LockGrant& grant) { parts_.undone.take_back(executor, grant); }

  // Ends every wait in a queue, and each later one at once, for that reason (draining, store_lost).
  void drain(WaitEnd why) { parts_.queues.drain(why); }

  // How many requests wait in a queue on this server.
  std::size_t waiters() const { return parts_.queues.waiters(); }

  // Extends a holding and keeps its token. Its present end is known where this server wrote it last, else the store is
  // asked; `unavailable` when the store does not say.
  Task<Result<LockAnswer>> renew(RenewRequest request);

  // Ends a holding; Refused when another holds the lock.
  Task<Result<std::optional<Refused>>> release(ReleaseRequest request);

  // By how much the clocks of other writers of records seem to differ from ours: see ClockSkew.
  std::chrono::seconds clock_skew() const { return parts_.records.clock_skew(); }

  // The lock with its holder; nothing when it is free.
  Task<Result<std::optional<HeldLock>>> get(LockName lock, BootTime received);

  // Frees a lock, whatever its holder, even where its record can't be read; its lease lives on without it. Returns the
  // entry that stood there.
  Task<Result<std::optional<Entry>>> force_release(LockName lock, BootTime received);

  // How many requests wait in a queue for the lock, on all servers.
  Task<Result<std::size_t>> count_waiters(LockName lock, BootTime received);

  // What a LockSetService shares with it, for as long as this object lives.
  LockParts& parts() { return parts_; }

 private:
  using Decide = FunctionRef<Decision(const std::optional<HeldLock>& current, Instant now)>;

  using First = CommitAttempt::First;

  // One request, on the frame of the coroutine that answers it: so it is handed on without being moved, and no other
  // frame holds it too. `decide` refers to a function of that frame.
  struct Attempt {
    Attempt(std::string the_key, Deadline until, Decide what)
        : key(std::move(the_key)), deadline(until), decide(what) {}

    std::string key;
    Deadline deadline;
    Decide decide;
    First first = First::look;
    bool in_order = false;       // the queue must be empty if the lock changes hands
    bool queue_refused = false;  // and was not, when that was tried last
    Decided outcome{NothingToDo{}, std::nullopt, Revision{}};

    bool is_newcomer() const { return in_order && changes_hands(outcome.decision, outcome.seen); }
    std::span<const Decided> decided() const { return {&outcome, 1}; }
  };

  static bool waits(const AcquireRequest& request) { return request.wait > std::chrono::seconds(0); }
  Task<Result<LockAnswer>> try_to_acquire(const AcquireRequest& request);
  Task<Result<LockAnswer>> acquire_in_queue(const AcquireRequest& request);

  Task<Result<void>> decide_and_commit(Attempt& attempt);
  Task<Result<void>> decide_durably(Attempt& attempt);
  Result<void> decide_on(const Found& found, Attempt& attempt);
  bool decide_by_memory(Attempt& attempt) const;
  Task<Result<bool>> decide_with_end(Attempt& attempt);
  Transaction transaction_for(const Attempt& attempt) const;
  LockAnswer answer_of(Decided&& decided) const { return to_answer(std::move(decided), parts_.store.token_base()); }
  Instant now() const { return {parts_.clock.wall_now(), parts_.clock.boot_now()}; }

  LockParts parts_;
  LockWaiting waiting_;
};

}  // namespace sharedlock
