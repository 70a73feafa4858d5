#pragma once

#include <vector>

#include "api/access.h"
#include "api/lock_metrics.h"
#include "base/capacity.h"
#include "base/log.h"
#include "http/router.h"
#include "lock/lock_service.h"

namespace sharedlock {

// Several locks of one namespace at once, all or none: POST /v1/{namespace}/locks/acquire, renew and release.
// Thread-safe. Everything handed in must outlive it, and it must outlive its routes.
class SetApi {
 public:
  // `waiters` limits the requests that wait in line.
  SetApi(LockService& locks, const Access& access, Capacity& waiters, LockMetrics& metrics, Log& log)
      : locks_(locks), access_(access), waiters_(waiters), metrics_(metrics), log_(log) {}

  std::vector<http::Route> routes();

 private:
  std::optional<http::Response> admit(const http::Request& request) const;
  Task<http::Response> acquire(const http::Request& request);
  Task<http::Response> renew(const http::Request& request);
  Task<http::Response> release(const http::Request& request);

  http::Response answer(const Result<SetAnswer>& outcome, const http::Request& request) const;
  http::Response counted(LockOperation operation, http::Response response) const;

  LockService& locks_;
  const Access& access_;
  Capacity& waiters_;
  LockMetrics& metrics_;
  Log& log_;
};

}  // namespace sharedlock
