#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "telemetry/latency.h"

namespace sharedlock {

// One label of a series. Values must come from a small set that is known beforehand: each costs the monitoring system a
// series for ever.
struct MetricLabel {
  std::string_view name;
  std::string_view value;
};
using MetricLabels = std::initializer_list<MetricLabel>;

// Writes metrics in Prometheus' text format, family by family: begin one, then add its series. A name must occur only
// once in the whole answer to a scrape. Not thread-safe.
class MetricsText {
 public:
  MetricsText();
  MetricsText(const MetricsText&) = delete;
  MetricsText& operator=(const MetricsText&) = delete;
  ~MetricsText();

  MetricsText& counters(std::string_view name, std::string_view help);
  MetricsText& gauges(std::string_view name, std::string_view help);
  MetricsText& histograms(std::string_view name, std::string_view help);

  // A series of the latest family: a counter or a gauge; a histogram of seconds.
  MetricsText& add(double value, MetricLabels labels = {});
  MetricsText& add(const LatencyCounts& latencies, MetricLabels labels = {});

  std::string text() const;

 private:
  struct Families;  // keeps prometheus-cpp out of this header

  std::unique_ptr<Families> families_;
};

}  // namespace sharedlock
