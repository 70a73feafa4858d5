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

// Of an entry that may share a lease, whose commit was called at that time: until when it must live.
std::optional<BootTime> shared_end(const Lifetime& lifetime, BootTime called);

// What becomes of entries that were put under leases which turned out to end too early, since the clocks of this
// machine stood still after they were granted (R34), or of which that could not be found out. They are moved to new
// leases at once. Where that fails, their caller is told so, and in the background what took the place of nothing is
// taken back, and what took the place of an entry, on which somebody may count, is moved. Thread-safe. Everything that
// is handed in must outlive it, and it must outlive its calls.
class EtcdShortLeases {
 public:
  // Nobody shares a lease any more that was asked for before that moment.
  using Forget = std::function<void(BootTime)>;
  // Puts entries under shared leases.
  using Commit = std::function<Task<Result<Outcome>>(Transaction, Deadline)>;
  // [i] of changes[i] of a transaction: until when an entry must live that shares a lease.
  using Ends = std::vector<std::optional<BootTime>>;

  // Background work runs on `executor`.
  EtcdShortLeases(Forget forget, Commit commit, Clock& clock, Log& log, Executor executor);

  // Moves all entries of that transaction which share leases, in one commit. Returns what the transaction then came to:
  // `unanswered`, where they were no longer there to be moved. Leases that were granted after `asked`, for neighbours
  // that were moved too, are shared on: etcd was asked of those that end too early, and so the clocks stood still,
  // before.
  Task<Result<Outcome>> move(const Transaction* transaction, const Committed* committed, const Ends* ends,
                             BootTime asked, Deadline deadline);

  // Ends the background work soon.
  void stop() { undone_->stop(); }

  // Waits until it has ended. Then nobody may call move() any more.
  void join() { undone_.reset(); }

 private:
  Task<bool> try_later(Transaction transaction);

  Forget forget_;
  Commit commit_;
  Clock& clock_;
  Executor executor_;
  std::optional<Retries> undone_;
};

}  // namespace sharedlock
