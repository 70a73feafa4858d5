#pragma once

#include <chrono>
#include <cstddef>

#include "lease/refusal_cache.h"
#include "telemetry/latency.h"
#include "telemetry/metrics_text.h"
#include "telemetry/thread_counters.h"

namespace sharedlock {

// The outcomes of lease API operations, under the names and label values of the replaced service.
enum class LeaseOperation { get_created, get_accepted, get_error, prolong_success, prolong_failure };
inline constexpr std::size_t kLeaseOperations = 5;

// The metrics of the lease API. Counting touches only the calling thread's own counters, which are summed when read.
// Thread-safe.
class LeaseMetrics {
 public:
  void count(LeaseOperation operation, std::chrono::nanoseconds took);

  // Adds all of them, and the cache's.
  void write(MetricsText& text, const RefusalCacheCounts& cache) const;

 private:
  // Operations first; then, for get and prolong, the buckets and the sum of nanoseconds.
  static constexpr std::size_t kLatencyCounters = kLatencyBuckets + 1;
  static constexpr std::size_t first_latency(bool is_get) { return kLeaseOperations + (is_get ? 0 : kLatencyCounters); }

  LatencyCounts latencies(bool is_get) const;

  ThreadCounters<kLeaseOperations + 2 * kLatencyCounters> counters_;
};

}  // namespace sharedlock
