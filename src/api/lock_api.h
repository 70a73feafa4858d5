#pragma once

#include <variant>
#include <vector>

#include "api/access.h"
#include "api/lock_codec.h"
#include "api/lock_metrics.h"
#include "base/capacity.h"
#include "base/log.h"
#include "http/router.h"
#include "lock/lock_service.h"

namespace sharedlock {

// The lock API: named locks in namespaces under /v1, in the words of LockServiceCentral's REST service, and what goes
// beyond it: waiting in line, verify, force release. Thread-safe.
// Everything handed in must outlive it, and it must outlive its routes.
class LockApi {
 public:
  // `strict`: refusals say no more than those of LockServiceCentral. `waiters` limits the requests that wait in line.
  LockApi(LockService& locks, const Access& access, Capacity& waiters, LockMetrics& metrics, Log& log, bool strict)
      : locks_(locks), access_(access), waiters_(waiters), metrics_(metrics), log_(log), strict_(strict) {}

  std::vector<http::Route> routes();

 private:
  std::optional<http::Response> admit(const http::Request& request) const;
  std::optional<http::Response> admit_administrator(const http::Request& request) const;
  static std::optional<http::Response> check_path(const http::Request& request);
  Task<http::Response> get(const http::Request& request);
  Task<http::Response> acquire(const http::Request& request);
  Task<http::Response> renew(const http::Request& request);
  Task<http::Response> release(const http::Request& request);
  Task<http::Response> verify(const http::Request& request);
  Task<http::Response> force_release(const http::Request& request);

  std::variant<AcquireRequest, ValidationErrors> acquire_request(const http::Request& request) const;
  http::Response acquired(const Result<LockAnswer>& outcome, const http::Request& request, Executor executor);
  http::Response answer(const Result<LockAnswer>& outcome, const http::Request& request) const;
  http::Response refusal(const Result<LockAnswer>& outcome, const http::Request& request) const;
  http::Response counted(LockOperation operation, http::Response response) const;

  LockService& locks_;
  const Access& access_;
  Capacity& waiters_;
  LockMetrics& metrics_;
  Log& log_;
  const bool strict_;
};

}  // namespace sharedlock
