#pragma once

#include <optional>
#include <vector>

#include "api/access.h"
#include "api/lock_codec.h"
#include "api/lock_metrics.h"
#include "base/capacity.h"
#include "base/log.h"
#include "http/router.h"
#include "lock/lock_service.h"
#include "lock/lock_set_service.h"

namespace sharedlock {

// The lock API: named locks in namespaces under /v1, in the words of LockServiceCentral's REST service, and our
// additions: waiting in a queue, verify, force release, and several locks of one namespace at once, all or none.
// Thread-safe. Everything passed in must outlive it, and it must outlive its routes.
class LockApi {
 public:
  // `strict`: refusals of one lock say no more than those of LockServiceCentral. `waiters` limits the requests that
  // wait in queues.
  LockApi(LockService& locks, LockSetService& sets, const Access& access, Capacity& waiters, LockMetrics& metrics,
          Log& log, bool strict)
      : locks_(locks), sets_(sets), access_(access), waiters_(waiters), metrics_(metrics), log_(log), strict_(strict) {}

  std::vector<http::Route> routes();

 private:
  // Each endpoint is one row: serve() reads its body, its answers are counted as `operation`.
  struct Row {
    http::Method method;
    std::string_view pattern;
    std::optional<LockBodySchema> body;  // none: the handler gets an empty one
    LockOperation operation;
    Task<http::Response> (LockApi::*handler)(const http::Request& request, LockBody& asked);  // may move from `asked`
    http::Priority priority = http::Priority::holders;
    bool for_administrators = false;
  };

  // The result of GET.
  struct Looked {
    std::optional<HeldLock> lock;
    std::size_t waiters = 0;
  };

  http::Route route(const Row& row);
  std::optional<http::Response> admit(const Row& row, const http::Request& request) const;
  Task<http::Response> serve(const Row& row, const http::Request& request);

  // The handlers. None is a coroutine, so that the body is not on the frame of the coroutine that it returns.
  Task<http::Response> get(const http::Request& request, LockBody& asked);
  Task<http::Response> acquire(const http::Request& request, LockBody& asked);
  Task<http::Response> renew(const http::Request& request, LockBody& asked);
  Task<http::Response> release(const http::Request& request, LockBody& asked);
  Task<http::Response> verify(const http::Request& request, LockBody& asked);
  Task<http::Response> force_release(const http::Request& request, LockBody& asked);
  Task<http::Response> acquire_set(const http::Request& request, LockBody& asked);
  Task<http::Response> renew_set(const http::Request& request, LockBody& asked);
  Task<http::Response> release_set(const http::Request& request, LockBody& asked);

  template <class Outcome, class Answer>
  Task<http::Response> answered(const http::Request& request, Task<Result<Outcome>> operation, Answer answer);
  Task<Result<Looked>> look(const http::Request& request);
  AcquireRequest acquire_request(const http::Request& request, LockBody& asked, LockName lock) const;
  Task<http::Response> acquire_one(const http::Request& request, AcquireRequest acquire);
  Task<http::Response> acquire_all(const http::Request& request, LockSet set, AcquireRequest each);

  http::Response acquired(const Result<LockAnswer>& outcome, const http::Request& request, Executor executor);
  http::Response granted(const LockGrant& grant) const;
  http::Response refusal(const LockAnswer& outcome, const http::Request& request) const;

  LockService& locks_;
  LockSetService& sets_;
  const Access& access_;
  Capacity& waiters_;
  LockMetrics& metrics_;
  Log& log_;
  const bool strict_;
};

}  // namespace sharedlock
