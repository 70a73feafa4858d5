#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/answer_slot.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "base/task_group.h"
#include "store/etcd/lease/pooled_leases.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdLeases;

// Leases for the entries of the lock API, shared as PooledLeases says and never kept alive. Thread-safe. Everything
// passed in must outlive it, and it must outlive its calls. Its destructor waits for its background work, so not on an
// I/O thread.
class EtcdLeasePool {
 public:
  // Background work runs on `executor`.
  EtcdLeasePool(EtcdLeases& leases, Clock& clock, Executor executor)
      : leases_(leases), clock_(clock), executor_(executor) {}

  struct Joined {
    LeaseId id;
    BootTime sent;  // no later than the first sending of its grant
  };

  // A lease under which that many entries surely live until `end`, as etcd would confirm, provided that the clocks of
  // this machine have not stood still since its grant (R34). Errors: those of a grant.
  Task<Result<Joined>> join(BootTime end, Deadline deadline, std::size_t entries = 1);

  // It has ended early: nothing joins it any more. Any lease id may be named.
  void drop(LeaseId id);

  // The clocks of this machine stood still before that moment: nothing joins leases requested earlier.
  void drop_sent_before(BootTime moment);

 private:
  using Waiter = AnswerSlot<Result<void>>;  // a request that waits for a lease which is already being granted
  using WaiterPtr = std::shared_ptr<Waiter>;
  using Order = PooledLeases::Order;

  struct Taken {
    PooledLeases::Place place;
    WaiterPtr waiter;  // if another request has the lease granted
  };

  Taken take(BootTime end, std::size_t entries, const Executor& executor, Deadline deadline);
  void leave(LeaseId id, const WaiterPtr& waiter);
  Task<Result<void>> grant(Order order, Deadline deadline);
  Task<void> grant_ahead(Order order);
  void end(LeaseId id, const Result<Ttl>& granted);

  EtcdLeases& leases_;
  Clock& clock_;
  Executor executor_;
  std::mutex mutex_;
  PooledLeases pool_;
  std::map<LeaseId, std::vector<WaiterPtr>> waiting_;  // for leases that are being granted
  TaskGroup ahead_;  // grants that no request waits for yet; the last member: they use the others
};

}  // namespace sharedlock
