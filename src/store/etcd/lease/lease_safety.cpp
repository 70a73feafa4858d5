#include "store/etcd/lease/lease_safety.h"

#include <algorithm>

namespace sharedlock {

void LeaseSafety::renewed(LeaseId id, BootTime sent, Ttl ttl) {
  std::scoped_lock lock(mutex_);
  BootTime& until = safe_until_[id];
  until = std::max(until, saturating_add(sent, ttl));
  if (safe_until_.size() >= look_again_at_) forget_past(sent);
}

void LeaseSafety::ended(LeaseId id) {
  std::scoped_lock lock(mutex_);
  safe_until_.erase(id);
}

bool LeaseSafety::surely_lives(LeaseId id, BootTime now) const {
  std::scoped_lock lock(mutex_);
  auto found = safe_until_.find(id);
  return found != safe_until_.end() && now < found->second;
}

std::size_t LeaseSafety::size() const {
  std::scoped_lock lock(mutex_);
  return safe_until_.size();
}

void LeaseSafety::forget_past(BootTime now) {
  std::erase_if(safe_until_, [now](const auto& lease) { return lease.second <= now; });
  look_again_at_ = std::max<std::size_t>(1024, safe_until_.size() * 2);
}

}  // namespace sharedlock
