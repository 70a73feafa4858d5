#pragma once

#include <atomic>
#include <optional>

#include "base/async_event.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/single_flight.h"
#include "base/task.h"
#include "base/task_group.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdClient;
class EtcdKeepalive;
class EtcdWatches;

// The one lease under which a server's session entries hang: granted when first needed, renewed as long as the server
// lives and its watches hear (R23), granted anew after it was lost. Thread-safe.
class EtcdSession {
 public:
  static constexpr Ttl kTtl{8};

  // Its coroutine runs on `executor`, in `tasks`. The others must outlive it.
  EtcdSession(EtcdClient& client, EtcdKeepalive& keepalive, EtcdWatches& watches, Clock& clock, Executor executor,
              TaskGroup& tasks);

  // The lease; it may have been lost without our knowing yet.
  Task<Result<LeaseId>> lease(Deadline deadline);

  // etcd says that the lease does not exist.
  void lost(LeaseId id);

  // Ends it, unless something still hangs on it, or may: then it stays until kTtl is over, for another server to take
  // over. If awaited at all, then before stop().
  Task<void> end(Deadline deadline);

  // Ends the coroutine soon.
  void stop();

 private:
  Task<Result<LeaseId>> grant(Deadline deadline);
  Task<void> renew_for_ever();

  EtcdClient& client_;
  EtcdKeepalive& keepalive_;
  EtcdWatches& watches_;
  Clock& clock_;
  Executor executor_;
  std::atomic<LeaseId> id_{LeaseId{0}};  // 0: none
  SingleFlight<Result<LeaseId>> granting_;
  AsyncEvent wake_;
  bool stopping_ = false;  // on the executor
};

}  // namespace sharedlock
