#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/single_flight.h"
#include "base/task.h"
#include "base/task_group.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdClient;

// What etcd's leader said about a lease's remaining life. A deposed leader that does not know it yet answers too, and
// may say too much (R34): so it counts only beside something that a quorum has answered.
struct EtcdLeaseLook {
  LeaseId id;
  std::optional<Error> failed = std::nullopt;    // there was no answer
  std::optional<LeaseLife> life = std::nullopt;  // nothing: there is no such lease
  // The asked member's raft term, before the question and at its answer; 0: it changed in between. So if a leader
  // answered, it was the leader of that term.
  std::uint64_t term = 0;

  // Beside a quorum's answer that was requested no earlier than this, or is of a later term.
  bool counts_in(std::uint64_t quorums_term) const { return !failed && term != 0 && term == quorums_term; }
};

// Asks for one.
Task<EtcdLeaseLook> look_at_lease(EtcdClient& client, LeaseId id, Deadline deadline);

// The looks beside one request or one batch: each lease is asked for once, while the request is under way. A look is
// awaited only for answers that rest on that very lease. Thread-safe.
class EtcdLeaseLooks {
 public:
  using Ask = std::function<Task<EtcdLeaseLook>(LeaseId, Deadline)>;

  EtcdLeaseLooks(std::vector<LeaseId> ids, Ask ask, Clock& clock);

  // Asks about all leases, in the background. Everything that `looks` uses must outlive that and the waiting calls.
  static void begin(const std::shared_ptr<EtcdLeaseLooks>& looks, Executor executor, TaskGroup& background,
                    Deadline deadline);

  // [i] for ids[i]: until when that lease surely lives, as told in that term (long ago if the lease is gone); nothing:
  // no answer in time. Looks that don't count in that term are repeated, a few times.
  Task<std::vector<std::optional<BootTime>>> ends(std::vector<LeaseId> ids, std::uint64_t quorums_term,
                                                  Deadline deadline);

 private:
  struct Lease {
    explicit Lease(Clock& clock) : asking(clock) {}

    SingleFlight<Result<EtcdLeaseLook>> asking;
    std::optional<EtcdLeaseLook> last;
  };

  static Task<void> ask_first(std::shared_ptr<EtcdLeaseLooks> looks, LeaseId id, Deadline deadline);
  // Unless an answer has arrived meanwhile that counts in that term, or in any term if none is named.
  Task<Result<EtcdLeaseLook>> ask(LeaseId id, std::optional<std::uint64_t> quorums_term, Deadline deadline);
  std::optional<EtcdLeaseLook> last(LeaseId id) const;
  Task<std::optional<BootTime>> end_of(LeaseId id, std::uint64_t quorums_term, Deadline deadline);

  const Ask ask_;
  Clock& clock_;
  std::map<LeaseId, Lease> leases_;  // never changes after construction
  mutable std::mutex mutex_;         // guards the latest answers
};

}  // namespace sharedlock
