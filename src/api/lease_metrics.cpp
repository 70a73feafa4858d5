#include "api/lease_metrics.h"

namespace sharedlock {

namespace {

struct Labels {
  std::string_view operation;
  std::string_view status;
};

Labels labels_of(LeaseOperation operation) {
  switch (operation) {
    case LeaseOperation::get_created:
      return {"get", "created"};
    case LeaseOperation::get_accepted:
      return {"get", "accepted"};
    case LeaseOperation::get_error:
      return {"get", "error"};
    case LeaseOperation::prolong_success:
      return {"prolong", "success"};
    case LeaseOperation::prolong_failure:
      return {"prolong", "failure"};
  }
  return {};
}

// The replaced service's names. Entries of the cache don't expire by themselves: see RefusalCache.
void write_cache(MetricsText& text, const RefusalCacheCounts& counts) {
  text.counters("shared_lock_cache_operations_total", "Operations of the lease cache.");
  auto add = [&](std::string_view operation, std::string_view status, std::uint64_t value) {
    text.add(static_cast<double>(value), {{"operation", operation}, {"status", status}});
  };
  add("get", "hit", counts.hits);
  add("get", "miss", counts.misses);
  add("get", "expired", 0);
  add("set", "success", counts.filled);
  add("set", "update", counts.updated);
  add("evict", "size_limit", counts.evicted);
  add("cleanup", "expired", counts.ended);
}

}  // namespace

void LeaseMetrics::count(LeaseOperation operation, std::chrono::nanoseconds took) {
  std::size_t first = first_latency(operation <= LeaseOperation::get_error);
  counters_.add(static_cast<std::size_t>(operation));
  counters_.add(first + latency_bucket(took));
  counters_.add(first + kLatencyBuckets, latency_nanoseconds(took));
}

LatencyCounts LeaseMetrics::latencies(bool is_get) const {
  LatencyCounts counts;
  std::size_t first = first_latency(is_get);
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) counts.buckets[i] = counters_.sum(first + i);
  counts.nanoseconds = counters_.sum(first + kLatencyBuckets);
  return counts;
}

void LeaseMetrics::write(MetricsText& text, const RefusalCacheCounts& cache) const {
  text.counters("shared_lock_lease_operations_total", "Operations of the lease API by how they ended.");
  for (std::size_t i = 0; i < kLeaseOperations; ++i) {
    Labels labels = labels_of(static_cast<LeaseOperation>(i));
    text.add(static_cast<double>(counters_.sum(i)), {{"operation", labels.operation}, {"status", labels.status}});
  }
  text.histograms("shared_lock_lease_grant_duration_seconds",
                  "Time that an operation of the lease API took, from its header to its answer.");
  text.add(latencies(/*is_get=*/true), {{"operation", "get"}});
  text.add(latencies(/*is_get=*/false), {{"operation", "prolong"}});
  write_cache(text, cache);
}

}  // namespace sharedlock
