#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "lock/commit_attempt.h"
#include "lock/decided.h"
#include "lock/lock_transaction.h"
#include "lock/record_reader.h"
#include "lock/written_locks.h"
#include "store/lease_store.h"

namespace sharedlock {

// Changes several locks in one commit, all or none: looks at them, decides on each, commits at the revisions seen, and
// decides again after a lost race. Thread-safe. All that it is given must outlive it.
class SetCommits {
 public:
  using First = CommitAttempt::First;
  // On lock i of the transaction.
  using DecideEach = std::function<Decision(std::size_t i, const std::optional<HeldLock>& current, Instant now)>;
  using DecidedAll = std::vector<Decided>;  // if any is Refused, none was changed

  // `max_retries`, `request_timeout`: as in LockServiceOptions.
  SetCommits(int max_retries, std::chrono::milliseconds request_timeout, LeaseStore& store, Clock& clock,
             RecordReader& records, WrittenLocks& written)
      : max_retries_(max_retries),
        request_timeout_(request_timeout),
        store_(store),
        clock_(clock),
        records_(records),
        written_(written) {}

  // `first`: look or guess. Errors are those of LockService. The transaction must live until the answer, and then says
  // what stands there.
  Task<Result<DecidedAll>> change(LockTransaction& what, DecideEach decide, First first, Deadline deadline);

  // For answers that may not run ahead of the disk: all but a refused acquire. Begins with a look.
  Task<Result<DecidedAll>> change_durably(LockTransaction& what, DecideEach decide, Deadline deadline);

 private:
  Task<Result<void>> look(LockTransaction& what, Deadline deadline);
  Result<DecidedAll> decide_each(const LockTransaction& what, const DecideEach& decide);
  Task<Result<bool>> decide_with_ends(const LockTransaction& what, const DecideEach& decide, DecidedAll& all,
                                      Deadline deadline);
  Task<Result<bool>> all_live_as_promised(const LockTransaction& what, const DecidedAll& all, Deadline deadline);
  Instant now() const { return {clock_.wall_now(), clock_.boot_now()}; }

  const int max_retries_;
  const std::chrono::milliseconds request_timeout_;
  LeaseStore& store_;
  Clock& clock_;
  RecordReader& records_;
  WrittenLocks& written_;
};

}  // namespace sharedlock
