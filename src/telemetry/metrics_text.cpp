#include "telemetry/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <vector>

namespace sharedlock {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct MetricsText::Families {
  MetricsText::Families& begin(std::string_view name, std::string_view help, MetricType type) {
    MetricFamily& family = all.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
    return *this;
  }
  ClientMetric& add(MetricLabels labels) {
    ClientMetric& metric = all.back().metric.emplace_back();
    for (const MetricLabel& label : labels) {
      metric.label.push_back({std::string(label.name), std::string(label.value)});
    }
    return metric;
  }

  std::vector<MetricFamily> all;
};

MetricsText::MetricsText() : families_(std::make_unique<Families>()) {}

MetricsText::~MetricsText() = default;

MetricsText& MetricsText::counters(std::string_view name, std::string_view help) {
  families_->begin(name, help, MetricType::Counter);
  return *this;
}

MetricsText& MetricsText::gauges(std::string_view name, std::string_view help) {
  families_->begin(name, help, MetricType::Gauge);
  return *this;
}

MetricsText& MetricsText::histograms(std::string_view name, std::string_view help) {
  families_->begin(name, help, MetricType::Histogram);
  return *this;
}

MetricsText& MetricsText::add(double value, MetricLabels labels) {
  ClientMetric& metric = families_->add(labels);
  // The family's type decides which of the two is printed.
  metric.counter.value = value;
  metric.gauge.value = value;
  return *this;
}

MetricsText& MetricsText::add(const LatencyCounts& latencies, MetricLabels labels) {
  prometheus::ClientMetric::Histogram& histogram = families_->add(labels).histogram;
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i < kLatencyBuckets; ++i) {
    cumulative += latencies.buckets[i];
    bool last = i == kLatencyBounds.size();
    double bound =
        last ? std::numeric_limits<double>::infinity() : std::chrono::duration<double>(kLatencyBounds[i]).count();
    histogram.bucket.push_back({cumulative, bound});
  }
  histogram.sample_count = cumulative;
  histogram.sample_sum = static_cast<double>(latencies.nanoseconds) / 1e9;
  return *this;
}

std::string MetricsText::text() const {
  return prometheus::TextSerializer().Serialize(families_->all);
}

}  // namespace sharedlock
