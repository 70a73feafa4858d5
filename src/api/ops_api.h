#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "http/router.h"
#include "lease/lease_service.h"
#include "telemetry/metrics_text.h"

namespace sharedlock {

// Adds some metrics to those of a scrape. Thread-safe.
using MetricsSource = std::function<void(MetricsText&)>;

// The endpoints for operators and orchestrators: GET /health, /actuator/health, /ready and /metrics. Open to everybody.
// Thread-safe. Everything passed in must outlive it, and it must outlive its routes.
class OpsApi {
 public:
  // `sources` are shown by /metrics, in that order, besides whether the store answers.
  OpsApi(LeaseService& leases, std::vector<MetricsSource> sources) : leases_(leases), sources_(std::move(sources)) {}

  std::vector<http::Route> routes();

  // From now on /ready says no, whatever the store says: the server is about to stop.
  void announce_end() { ending_ = true; }

 private:
  Task<http::Response> health(const http::Request& request);
  Task<http::Response> actuator_health(const http::Request& request);
  Task<http::Response> ready(const http::Request& request);
  Task<http::Response> metrics(const http::Request& request);

  LeaseService& leases_;
  const std::vector<MetricsSource> sources_;
  std::atomic<bool> ending_ = false;
};

}  // namespace sharedlock
