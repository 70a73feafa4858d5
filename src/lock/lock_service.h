#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/presence_hints.h"
#include "base/result.h"
#include "base/retries.h"
#include "base/task.h"
#include "lock/commit_attempt.h"
#include "lock/decided.h"
#include "lock/record_reader.h"
#include "lock/rules.h"
#include "lock/set_commits.h"
#include "lock/types.h"
#include "lock/written_locks.h"
#include "queue/wait_queues.h"
#include "store/lease_store.h"

namespace sharedlock {

struct LockServiceOptions {
  std::string key_prefix = "locks/";                // a lock lives at {key_prefix}{namespace}:{lockName}
  int max_retries = 3;                              // commits that lost their race are repeated this often
  std::chrono::milliseconds request_timeout{5000};  // for a whole request, counted from its `received`
};

// A lock as granted or renewed. `ttl`: the lock is safe for so long after `received`.
struct LockGrant {
  LockRecord record;
  FencingToken token;
  Ttl ttl;
  Revision revision;                       // of the commit
  bool waited = false;                     // in line: `ttl` counts from a moment that the client does not know
  bool replaces = false;                   // a holding of the same holder
  std::chrono::seconds may_be_back_for{};  // after waiting: take_back() waits so long for the client to return (R37)
};

using LockAnswer = std::variant<LockGrant, Refused, WaitEnd>;  // WaitEnd: only to an acquire that would wait

// Why a set of locks was not taken, renewed or released; all of them are as they were.
struct SetRefused {
  std::vector<std::string> blocked_by;              // the names that stood in the way
  std::optional<std::size_t> ahead = std::nullopt;  // after waiting in line: how many waiters were ahead
};
// A caller that holds some of these may not wait for the others: their holder might be waiting for it (R25).
struct HoldAndWait {
  std::vector<std::string> held;
};
using SetGrant = std::vector<LockGrant>;                                     // [i] of names[i]
using SetAnswer = std::variant<SetGrant, SetRefused, HoldAndWait, WaitEnd>;  // the last two: only if asked to wait

// Named locks over a LeaseStore: look, decide (rules.h), commit at the revision seen; a lost race is decided again on
// what the winner left. An acquire of a lock that is probably free skips the look. Where a look costs a network round
// trip, so does a renewal or release of what this server wrote last. Thread-safe. The store, the clock and the log must
// outlive it.
//
// Errors of all calls: `unavailable` and `deadline_exceeded` leave the outcome unknown, also when every retry lost its
// race; `corrupt` when the record can't be read (it is left alone, its key is in the log).
class LockService {
 public:
  LockService(LockServiceOptions options, LeaseStore& store, Clock& clock, Log& log);
  ~LockService();  // waits for what runs in the background, but tries nothing again; the store must still answer

  // Begins a holding with a new, higher token, even when the caller holds the lock already. A refused request that
  // asked to wait joins the end of the line, and no request overtakes the line. A grant on a free lock that took longer
  // than half its duration (after waiting: from its turn) is taken back in the background and reported as
  // `unavailable`, since too little of it is left.
  // The request must live until the answer.
  Task<Result<LockAnswer>> acquire(const AcquireRequest& request);

  // Undoes a grant in the background, on that executor, because its holder was gone before it could be told (R3). A
  // grant that replaces a holding is left alone: its owner may still count on the earlier one. Tried for as long as the
  // lock may live; failure is logged.
  void take_back(Executor executor, const LockGrant& grant);

  // The same for several locks at once: all of them, or none. Names that the caller holds already are taken anew with
  // the others. `each.lock` is ignored. Overlapping sets never deadlock, whatever the order of their names.
  Task<Result<SetAnswer>> acquire_all(LockSet set, AcquireRequest each);
  Task<Result<SetAnswer>> renew_all(LockSet set, RenewRequest each);
  // Nothing: all are released, or were free.
  Task<Result<std::optional<SetRefused>>> release_all(LockSet set, ReleaseRequest each);

  // Ends every wait in line, and each later one at once, for that reason (draining, store_lost).
  void drain(WaitEnd why) { queues_.drain(why); }

  // How many requests wait in line on this server.
  std::size_t waiters() const { return queues_.waiters(); }

  // Extends a holding and keeps its token. Its present end is known where this server wrote it last, else the store is
  // asked; `unavailable` when the store does not say.
  Task<Result<LockAnswer>> renew(RenewRequest request);

  // Ends a holding; Refused when another holds the lock.
  Task<Result<std::optional<Refused>>> release(ReleaseRequest request);

  // By how much the clocks of other writers of records seem to differ from ours: see ClockSkew.
  std::chrono::seconds clock_skew() const { return records_.clock_skew(); }

  // The lock with its holder; nothing when it is free.
  Task<Result<std::optional<HeldLock>>> get(LockName lock, BootTime received);

  // Frees a lock, whatever its holder, even where its record can't be read; its lease lives on without it. Returns the
  // entry that stood there.
  Task<Result<std::optional<Entry>>> force_release(LockName lock, BootTime received);

  // How many requests wait in line for the lock, on all servers.
  Task<Result<std::size_t>> count_waiters(LockName lock, BootTime received);

 private:
  using Decide = std::function<Decision(const std::optional<HeldLock>& current, Instant now)>;

  using First = CommitAttempt::First;

  // One request, on the frame of the coroutine that answers it: so it is handed on without being moved, and frames stay
  // below what Asio recycles (1,020 bytes).
  struct Attempt {
    Attempt(std::string the_key, Deadline until, Decide what)
        : key(std::move(the_key)), deadline(until), decide(std::move(what)) {}

    std::string key;
    Deadline deadline;
    Decide decide;
    First first = First::look;
    bool in_order = false;       // the line must be empty if the lock changes hands
    bool queue_refused = false;  // and was not, when that was tried last
    Decided outcome{NothingToDo{}, std::nullopt, Revision{}};

    bool is_newcomer() const { return in_order && changes_hands(outcome.decision, outcome.seen); }
    std::span<const Decided> decided() const { return {&outcome, 1}; }
  };

  using DecideEach = SetCommits::DecideEach;
  using DecidedAll = SetCommits::DecidedAll;

  static bool waits(const AcquireRequest& request) { return request.wait > std::chrono::seconds(0); }
  Task<Result<LockAnswer>> try_to_acquire(const AcquireRequest& request);
  Task<Result<LockAnswer>> acquire_in_queue(const AcquireRequest& request);
  Task<Result<SetAnswer>> acquire_all_in_queue(LockSet set, AcquireRequest each);
  WaitQueues::Waiter enter_queue(Executor executor, const LockSet& set, const AcquireRequest& request);
  static std::vector<std::string> names_of(const LockSet& set);
  void give_up_waiting(const ReleaseRequest& request, const std::vector<std::string>& names);
  struct TimeUp {
    std::vector<std::optional<HeldLock>> locks;  // as they stood then: [i] of names[i]
    QueueState::EntryFate entries{};             // and whether the waiter's places did
  };
  using Waited = std::variant<SetGrant, TimeUp, WaitEnd>;
  Task<Result<Waited>> wait_for_all(const LockSet& set, const AcquireRequest& request, WaitQueues::Waiter& waiter);
  Task<Result<std::optional<SetGrant>>> take_turn(const LockSet& set, const AcquireRequest& request,
                                                  WaitQueues::Turn& turn);
  Task<Result<TimeUp>> look_as_time_is_up(const LockSet& set, QueueState::Join join);
  SetRefused refused_in_queue(const LockSet& set, const AcquireRequest& request, const WaitQueues::Waiter& waiter,
                              const TimeUp& seen) const;

  std::vector<std::string> keys_of(const LockSet& set) const;
  SetGrant to_grants(DecidedAll all) const;
  std::optional<BootTime> look_again_at(const std::optional<HeldLock>& lock) const;
  LockSight see(const Entry& entry) const;
  Task<Result<void>> decide_and_commit(Attempt& attempt);
  Task<Result<void>> decide_durably(Attempt& attempt);
  Result<void> decide_on(const Found& found, Attempt& attempt);
  bool decide_by_memory(Attempt& attempt) const;
  Task<Result<bool>> decide_with_end(Attempt& attempt);
  Transaction transaction_for(const Attempt& attempt) const;
  LockAnswer to_answer(Decided&& decided) const;
  Task<bool> undo(std::string key, Revision grant);

  static std::string name_of(const LockName& lock);
  std::string key_of(const LockName& lock) const;
  QueuePart part_of(const std::string& name) const;
  Deadline deadline_for(BootTime begun) const { return {begun + options_.request_timeout}; }
  Instant now() const { return {clock_.wall_now(), clock_.boot_now()}; }

  const LockServiceOptions options_;
  LeaseStore& store_;
  Clock& clock_;
  RecordReader records_;
  PresenceHints hints_;
  WrittenLocks written_;
  SetCommits sets_;
  WaitQueues queues_;
  Retries undone_;
};

}  // namespace sharedlock
