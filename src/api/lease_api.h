#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "api/access.h"
#include "api/lease_codec.h"
#include "api/lease_metrics.h"
#include "base/capacity.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/router.h"
#include "lease/lease_service.h"

namespace sharedlock {

struct LeaseApiOptions {
  std::chrono::nanoseconds largest_ttl = std::chrono::hours(24);
  bool expose_holder_lease_id = false;  // in a 202, like the original service: with it any client can end the lease
};

// The lease API: POST /lease and POST /keepalive, in the words of the Go service shared-lock; and our additions: POST
// /release, GET and DELETE /lease. Thread-safe. Everything passed in must outlive it, and it must outlive its routes.
class LeaseApi {
 public:
  // `waiters` limits the requests that wait in queues.
  LeaseApi(LeaseApiOptions options, LeaseService& leases, const Access& access, Capacity& waiters,
           LeaseMetrics& metrics, Clock& clock, Log& log)
      : options_(options),
        leases_(leases),
        access_(access),
        waiters_(waiters),
        metrics_(metrics),
        clock_(clock),
        log_(log) {}

  std::vector<http::Route> routes();

 private:
  template <class Read, class Asked>
  http::Handler reading(Read read, http::Response (*refuse)(const Error&),
                        Task<http::Response> (LeaseApi::*handle)(const http::Request&, Asked));
  Task<http::Response> grant(const http::Request& request, GrantRequest asked);
  Task<http::Response> keep_alive(const http::Request& request, LeaseId id);
  Task<http::Response> release(const http::Request& request, LeaseId id);
  Task<http::Response> get(const http::Request& request, std::string key);
  Task<http::Response> force_release(const http::Request& request, std::string key);
  Result<GrantRequest> to_grant(const http::Request& request) const;
  Result<GrantRequest> with_headers(LeaseBody&& body, const http::Request& request) const;
  http::Response answer(const Result<LeaseService::Answer>& outcome, const http::Request& request) const;
  void note(const LeaseBody& asked, const http::Request& request) const;
  http::Response failed(std::string_view what, const Error& error, const http::Request& request) const;
  void count(LeaseOperation operation, const http::Request& request);

  const LeaseApiOptions options_;
  LeaseService& leases_;
  const Access& access_;
  Capacity& waiters_;
  LeaseMetrics& metrics_;
  Clock& clock_;
  Log& log_;
};

}  // namespace sharedlock
