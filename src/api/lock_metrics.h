#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>
#include <string_view>

#include "telemetry/metrics_text.h"
#include "telemetry/thread_counters.h"

namespace sharedlock {

enum class LockOperation { get, acquire, renew, release, verify, force_release, acquire_set, renew_set, release_set };

// Their names in the metrics, in that order.
inline constexpr std::string_view kLockOperationNames[] = {
    "get", "acquire", "renew", "release", "verify", "force-release", "acquire-set", "renew-set", "release-set"};
inline constexpr std::size_t kLockOperations = std::size(kLockOperationNames);

// The operations of the lock API by outcome. Requests refused before they became an operation (no such path, not
// admitted) are not counted. Thread-safe.
class LockMetrics {
 public:
  // The outcome follows from the status of the answer: 423 is `refused`, any other 4xx `invalid`, 5xx `error`, the rest
  // `success`.
  void count(LockOperation operation, int status);

  // Adds all of them, and LockService's clock_skew() and waiters().
  void write(MetricsText& text, std::chrono::seconds clock_skew, std::size_t waiters) const;

 private:
  static constexpr std::size_t kOutcomes = 4;

  ThreadCounters<kLockOperations * kOutcomes> counters_;
};

}  // namespace sharedlock
