#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/task.h"
#include "base/task_group.h"
#include "lock/clock_difference.h"
#include "lock/held_hints.h"
#include "lock/leaseless_records.h"
#include "lock/rules.h"
#include "lock/types.h"
#include "lock/wait_lines.h"
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
  Revision revision;    // of the commit
  bool waited = false;  // in line: `ttl` counts from a moment that the client does not know
};

using LockAnswer = std::variant<LockGrant, Refused, WaitEnd>;  // WaitEnd: only to an acquire that would wait

// Named locks over a LeaseStore: look, decide (rules.h), commit at the revision seen; a lost race is decided again on
// what the winner left. An acquire of a lock that is probably free spares the look. Thread-safe. The store, the clock
// and the log must outlive it.
//
// Errors of all calls: `unavailable` and `deadline_exceeded` leave the outcome unknown, also when every retry lost its
// race; `corrupt` when the record can't be read (it is left alone, its key is in the log).
class LockService {
 public:
  LockService(LockServiceOptions options, LeaseStore& store, Clock& clock, Log& log);
  ~LockService();  // waits for what runs in the background; the store must still answer

  // Begins a holding with a new, higher token, also when the lock is the caller's already. Whoever is refused goes to
  // the end of the line, if it has said that it would wait; and nobody overtakes who stands there. A grant on a free
  // lock that took longer than half its duration (after waiting: from its turn) is taken back in the background and
  // reported as `unavailable`: too little of it is left.
  Task<Result<LockAnswer>> acquire(AcquireRequest request);

  // Undoes a grant, in the background, on that executor: for one whose holder was gone before it could be told (R3).
  void take_back(Executor executor, const LockName& lock, Revision grant);

  // Whoever waits in line is told that the server ends, and who comes later at once.
  void drain() { lines_.drain(); }

  // How many wait in line here.
  std::size_t waiters() const { return lines_.waiters(); }

  // Extends a holding and keeps its token.
  Task<Result<LockAnswer>> renew(RenewRequest request);

  // Ends a holding; Refused when another holds the lock.
  Task<Result<std::optional<Refused>>> release(ReleaseRequest request);

  // By how much the clocks of those who write records seem to differ from ours: see ClockDifference.
  std::chrono::seconds clock_difference() const { return clock_difference_.largest(clock_.boot_now()); }

  // Who holds the lock; nothing when nobody does.
  Task<Result<std::optional<HeldLock>>> get(LockName lock, BootTime received);

  // Frees a lock, whoever holds it, also where its record can't be read; its lease lives on without it. Returns the
  // entry that stood there.
  Task<Result<std::optional<Entry>>> force_release(LockName lock, BootTime received);

  // How many wait in line for it, on all servers.
  Task<Result<std::size_t>> count_waiters(LockName lock, BootTime received);

 private:
  using Decide = std::function<Decision(const std::optional<HeldLock>& current, EpochSeconds now)>;

  // How a request ended: `decision` was reached on `seen`, and is true as of `revision` (for a write: its own).
  struct Outcome {
    Decision decision;
    std::optional<HeldLock> seen;
    Revision revision;
  };

  // How the loop begins: with a look, or with the guess that nothing stands there.
  enum class First { look, guess };

  Task<Result<LockAnswer>> acquire_in_line(AcquireRequest request);
  Task<Result<std::optional<LockGrant>>> take_turn(const AcquireRequest& request, WaitLines::Waiter& waiter,
                                                   WaitLines::Next turn);
  Refused refused_in_line(const AcquireRequest& request, const WaitLines::Waiter& waiter);
  std::optional<BootTime> look_again_at(const std::optional<HeldLock>& lock) const;
  LockSight see(const Entry& entry) const;
  // `line`: empty, or that in which nobody may stand if the lock changes hands.
  Task<Result<Outcome>> decide_and_commit(std::string key, Decide decide, First first, std::string line,
                                          Deadline deadline);
  Task<Result<Outcome>> decide_durably(std::string key, Decide decide, Deadline deadline);
  Task<Result<Found>> look_durably(std::string key, Deadline deadline);
  Result<std::optional<HeldLock>> read(const std::string& key, const std::optional<Entry>& entry);
  void note_winner(const std::optional<Entry>& entry);
  LockAnswer to_answer(Outcome outcome) const;
  Task<void> undo(std::string key, Revision grant);

  static std::string name_of(const LockName& lock);
  std::string key_of(const LockName& lock) const;
  LinePart part_of(const std::string& name) const;
  Deadline deadline_for(BootTime received) const;
  EpochSeconds epoch_now() const;

  const LockServiceOptions options_;
  LeaseStore& store_;
  Clock& clock_;
  Log& log_;
  LeaselessRecords leaseless_;
  ClockDifference clock_difference_;
  HeldHints hints_;
  WaitLines lines_;
  TaskGroup background_;
};

}  // namespace sharedlock
