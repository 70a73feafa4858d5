#include "api/lock_metrics.h"

#include <array>
#include <string_view>

namespace sharedlock {

namespace {

constexpr std::array<std::string_view, 4> kOutcomeNames = {"success", "refused", "invalid", "error"};

std::size_t outcome_of(int status) {
  if (status < 400) return 0;
  if (status == 423) return 1;
  return status < 500 ? 2 : 3;
}

}  // namespace

void LockMetrics::count(LockOperation operation, int status) {
  counters_.add(static_cast<std::size_t>(operation) * kOutcomes + outcome_of(status));
}

void LockMetrics::write(MetricsText& text, std::chrono::seconds clock_skew, std::size_t waiters) const {
  text.counters("shared_lock_lock_operations_total", "Operations of the lock API by how they ended.");
  for (std::size_t i = 0; i < kLockOperations * kOutcomes; ++i) {
    text.add(static_cast<double>(counters_.sum(i)),
             {{"operation", kLockOperationNames[i / kOutcomes]}, {"outcome", kOutcomeNames[i % kOutcomes]}});
  }
  text.gauges("shared_lock_lock_waiters", "Clients of this server that wait in line for a lock.");
  text.add(static_cast<double>(waiters));
  text.gauges(
      "shared_lock_clock_difference_seconds",
      "How far the clocks of those who write lock records are ahead of ours, as their records show; 0 below 2 s.");
  text.add(static_cast<double>(clock_skew.count()));
}

}  // namespace sharedlock
