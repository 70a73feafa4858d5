#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "http/router.h"
#include "telemetry/latency.h"
#include "telemetry/metrics_text.h"
#include "telemetry/thread_counters.h"

namespace sharedlock::http {

// The statuses that we send; any other is counted as 0, "other", so that an odd number never makes a new series.
inline constexpr std::array kCountedStatuses = {0,   200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 408,
                                                409, 413, 417, 423, 426, 429, 431, 500, 501, 503, 504, 505};

// The answers of one I/O thread's sessions. That thread counts; any may read.
class RequestCounts {
 public:
  struct Series {  // the requests of one route and method
    std::array<Counter, kCountedStatuses.size()> statuses{};
    std::array<Counter, kLatencyBuckets> latencies{};
    Counter nanoseconds;
  };

  // `router` must outlive this.
  explicit RequestCounts(const Router& router);

  // `route` is one of the router's, or null for a request that fits none of them.
  void count(const Route* route, Method method, int status, std::chrono::nanoseconds took);

  const Series& series(std::size_t index) const { return series_[index]; }
  std::size_t size() const { return series_.size(); }

 private:
  const Router& router_;
  std::vector<Series> series_;  // two per route, for its method and HEAD; then one per method for unknown routes
};

// Adds requests by route, method and status, and their durations by route and method, each summed over the threads. The
// route is the pattern; "none" if none fitted. Series without any count are left out.
void write_request_metrics(MetricsText& text, const Router& router, std::span<const RequestCounts* const> threads);

}  // namespace sharedlock::http
