#include "lock/leaseless_records.h"

namespace sharedlock {

namespace {

// There should be none at all. Beyond this many, all are forgotten, which can only make a takeover later.
constexpr std::size_t kMost = 10'000;

}  // namespace

std::chrono::nanoseconds LeaselessRecords::seen(const std::string& key, Revision revision, BootTime now) {
  std::scoped_lock lock(mutex_);
  if (first_seen_.size() >= kMost && !first_seen_.contains(key)) first_seen_.clear();
  auto [found, first] = first_seen_.try_emplace(key, Sighting{revision, now});
  if (found->second.revision != revision) found->second = {revision, now};
  return now - found->second.since;
}

}  // namespace sharedlock
