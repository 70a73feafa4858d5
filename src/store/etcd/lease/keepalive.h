#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "base/task_group.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdConnections;

// Renews leases over a few long-lived streams (R9). When a stream breaks, or has not answered within a second, its open
// requests are sent again on the next one. Thread-safe.
class EtcdKeepalive {
 public:
  struct Renewal {
    Ttl ttl;                 // 0: there is no such lease
    BootTime sent;           // the lease lives for its ttl from this moment
    std::uint64_t term = 0;  // etcd's raft term, as the asked member knew it
  };

  // Its coroutines run on `executor`, in `tasks`. The connections must outlive it.
  EtcdKeepalive(EtcdConnections& connections, Executor executor, TaskGroup& tasks);
  EtcdKeepalive(const EtcdKeepalive&) = delete;
  EtcdKeepalive& operator=(const EtcdKeepalive&) = delete;
  ~EtcdKeepalive();  // after stop(), and after the tasks have been joined

  // The answer is to a request sent after this call. `unavailable`, `deadline_exceeded`: the lease may have been
  // renewed or not.
  Task<Result<Renewal>> renew(LeaseId id, Deadline deadline);

  // The last answer for this lease was wrong: ends its stream, so that renewals go to another member.
  void distrust(LeaseId id);

  // Ends the coroutines soon; waiting and later calls fail with `unavailable`.
  void stop();

 private:
  class Lane;

  Lane* lane_of(LeaseId id) const;

  EtcdConnections& connections_;
  Executor executor_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace sharedlock
