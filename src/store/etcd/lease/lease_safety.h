#pragma once

#include <cstddef>
#include <mutex>
#include <unordered_map>

#include "base/clock.h"
#include "store/lease_store.h"

namespace sharedlock {

// Until when this server knows that a lease can't have ended (R8): from the sending of its grant or of its last renewal
// through this server, plus its ttl. Thread-safe.
class LeaseSafety {
 public:
  // The lease was granted or renewed for `ttl`, by a request that was sent at `sent`.
  void renewed(LeaseId id, BootTime sent, Ttl ttl);

  void ended(LeaseId id);

  // Also false for leases of which this server knows nothing.
  bool surely_lives(LeaseId id, BootTime now) const;

  std::size_t size() const;

 private:
  void forget_past(BootTime now);

  mutable std::mutex mutex_;
  std::unordered_map<LeaseId, BootTime> safe_until_;
  std::size_t look_again_at_ = 1024;  // at this size, leases that nothing renews are forgotten
};

}  // namespace sharedlock
