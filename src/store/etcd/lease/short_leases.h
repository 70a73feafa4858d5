#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/retries.h"
#include "base/task.h"
#include "store/lease_store.h"

namespace sharedlock {

// Until when an entry that may share a lease must live; `called`: when its commit was called.
std::optional<BootTime> shared_end(const Lifetime& lifetime, BootTime called);

// Moves entries with leases that turned out to end too early, since the clocks of this machine stood still after the
// grant (R34), or that could not be checked for that. They are moved to new leases at once. If that fails, the caller
// is told, and in the background an entry that replaced none is taken back, and one that replaced another, on which its
// holder may rely, is moved. Thread-safe. Everything passed in must outlive it, and it must outlive its calls.
class EtcdShortLeases {
 public:
  // From now on no entry joins a shared lease requested before that moment.
  using Forget = std::function<void(BootTime)>;
  // Puts entries under shared leases.
  using Commit = std::function<Task<Result<Outcome>>(Transaction, Deadline)>;
  // [i] for changes[i] of a transaction: until when an entry that shares a lease must live.
  using Ends = std::vector<std::optional<BootTime>>;

  // Background work runs on `executor`.
  EtcdShortLeases(Forget forget, Commit commit, Clock& clock, Log& log, Executor executor);

  // Moves all entries of that transaction which share leases, in one commit. Returns the transaction's resulting
  // outcome: `unanswered` if they were no longer there to be moved. Leases granted after `asked`, for neighbours that
  // were moved too, stay shared: etcd had been asked about the leases that end too early, and so the clocks had stood
  // still, before these grants.
  Task<Result<Outcome>> move(const Transaction* transaction, const Committed* committed, const Ends* ends,
                             BootTime asked, Deadline deadline);

  // Ends the background work soon.
  void stop() { undone_.stop(); }

  // Waits until it has ended. After that move() must not be called.
  void join() { undone_.join(); }

 private:
  Task<bool> try_later(Transaction transaction);

  Forget forget_;
  Commit commit_;
  Clock& clock_;
  Executor executor_;
  Retries undone_;
};

}  // namespace sharedlock
