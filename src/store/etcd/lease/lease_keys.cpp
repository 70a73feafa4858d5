#include "store/etcd/lease/lease_keys.h"

#include <optional>
#include <utility>

#include "store/etcd/watches.h"

namespace sharedlock {

bool EtcdLeaseKeys::hangs(LeaseId id, const std::string& under) const {
  {
    std::scoped_lock lock(mutex_);
    if (prefix_.empty() || prefix_ != under) return false;
  }
  return watches_.is_current(under) && counts_.has_key(id);
}

void EtcdLeaseKeys::follow(const std::string& under) {
  std::scoped_lock lock(mutex_);
  if (!prefix_.empty() || under.empty()) return;
  prefix_ = under;
  feed_ = watches_.subscribe(under, std::nullopt, [this](const WatchEvent& event) { counts_.on_event(event); });
}

void EtcdLeaseKeys::stop() {
  Subscription ended;
  std::scoped_lock lock(mutex_);
  std::swap(ended, feed_);
}

}  // namespace sharedlock
