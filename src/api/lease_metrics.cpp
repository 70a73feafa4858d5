#include "api/lease_metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace sharedlock {

namespace {

using Family = prometheus::MetricFamily;
using Label = prometheus::ClientMetric::Label;

struct Labels {
  std::string operation;
  std::string status;
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

// Each thread gets a number of its own the first time it counts something.
std::size_t thread_number() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t number = next++;
  return number;
}

prometheus::ClientMetric counter(const Labels& labels, double value) {
  prometheus::ClientMetric metric;
  metric.label = {{"operation", labels.operation}, {"status", labels.status}};
  metric.counter.value = value;
  return metric;
}

// The cache belongs to the etcd store; elsewhere its counters stay at zero, so that dashboards keep working.
Family cache_family() {
  Family family;
  family.name = "shared_lock_cache_operations_total";
  family.help = "Operations of the lease cache.";
  family.type = prometheus::MetricType::Counter;
  for (const Labels& labels :
       {Labels{"get", "hit"}, Labels{"get", "miss"}, Labels{"get", "expired"}, Labels{"set", "success"},
        Labels{"set", "update"}, Labels{"evict", "size_limit"}, Labels{"cleanup", "expired"}}) {
    family.metric.push_back(counter(labels, 0));
  }
  return family;
}

}  // namespace

void LeaseMetrics::count(LeaseOperation operation, std::chrono::nanoseconds took) {
  Slot& slot = slots_[thread_number() % slots_.size()];
  bool is_get = operation <= LeaseOperation::get_error;
  Histogram& histogram = slot.durations[is_get ? 0 : 1];
  double seconds = std::chrono::duration<double>(took).count();
  auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(kBuckets, seconds) - kBuckets.begin());
  slot.operations[static_cast<std::size_t>(operation)].fetch_add(1, std::memory_order_relaxed);
  histogram.buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  histogram.nanoseconds.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0)),
                                  std::memory_order_relaxed);
}

std::string LeaseMetrics::to_prometheus_text() const {
  Family operations;
  operations.name = "shared_lock_lease_operations_total";
  operations.help = "Operations of the lease API by how they ended.";
  operations.type = prometheus::MetricType::Counter;
  for (std::size_t i = 0; i < kLeaseOperations; ++i) {
    std::uint64_t sum = 0;
    for (const Slot& slot : slots_) sum += slot.operations[i].load(std::memory_order_relaxed);
    operations.metric.push_back(counter(labels_of(static_cast<LeaseOperation>(i)), static_cast<double>(sum)));
  }

  Family durations;
  durations.name = "shared_lock_lease_grant_duration_seconds";
  durations.help = "Time that an operation of the lease API took, from its header to its answer.";
  durations.type = prometheus::MetricType::Histogram;
  for (std::size_t which = 0; which < 2; ++which) {
    prometheus::ClientMetric metric;
    metric.label = {Label{"operation", which == 0 ? "get" : "prolong"}};
    std::uint64_t cumulative = 0;
    std::uint64_t nanoseconds = 0;
    for (const Slot& slot : slots_) nanoseconds += slot.durations[which].nanoseconds.load(std::memory_order_relaxed);
    for (std::size_t bucket = 0; bucket <= kBuckets.size(); ++bucket) {
      for (const Slot& slot : slots_) {
        cumulative += slot.durations[which].buckets[bucket].load(std::memory_order_relaxed);
      }
      bool last = bucket == kBuckets.size();
      double bound = last ? std::numeric_limits<double>::infinity() : kBuckets[bucket];
      metric.histogram.bucket.push_back({cumulative, bound});
    }
    metric.histogram.sample_count = cumulative;
    metric.histogram.sample_sum = static_cast<double>(nanoseconds) / 1e9;
    durations.metric.push_back(std::move(metric));
  }
  return prometheus::TextSerializer().Serialize({operations, durations, cache_family()});
}

}  // namespace sharedlock
