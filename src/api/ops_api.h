#pragma once

#include <vector>

#include "api/lease_metrics.h"
#include "http/router.h"
#include "lock/lease_service.h"

namespace sharedlock {

// What operators and orchestrators ask: GET /health, /actuator/health, /ready and /metrics. Open to everybody.
// Thread-safe. Everything handed in must outlive it, and it must outlive its routes.
class OpsApi {
 public:
  OpsApi(LeaseService& leases, const LeaseMetrics& metrics) : leases_(leases), metrics_(metrics) {}

  std::vector<http::Route> routes();

 private:
  Task<http::Response> health(const http::Request& request);
  Task<http::Response> actuator_health(const http::Request& request);
  Task<http::Response> ready(const http::Request& request);
  Task<http::Response> metrics(const http::Request& request);

  LeaseService& leases_;
  const LeaseMetrics& metrics_;
};

}  // namespace sharedlock
