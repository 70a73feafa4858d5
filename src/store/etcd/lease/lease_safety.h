#pragma once

#include <cstddef>
#include <mutex>
#include <unordered_map>

#include "base/clock.h"
#include "store/lease_store.h"

namespace sharedlock {

// Until when this server knows that a lease can't have ended (R8): its grant or its last renewal through this server,
// counted from the sending of that, plus its ttl. Thread-safe.
class LeaseSafety {
 public:
  // The lease was granted or renewed for `ttl`, by a request that was sent at `sent`.
  void renewed(LeaseId id, BootTime sent, Ttl ttl);

  void ended(LeaseId id);

  // False as well for leases of which this server knows nothing.
  bool surely_lives(LeaseId id, BootTime now) const;

  std::size_t size() const;

 private:
  void forget_past(BootTime now);

  mutable std::mutex mutex_;
  std::unordered_map<LeaseId, BootTime> safe_until_;
  std::size_t look_again_at_ = 1024;  // leases that nobody renews are forgotten when there are so many
};

}  // namespace sharedlock
