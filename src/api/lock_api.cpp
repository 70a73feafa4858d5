#include "api/lock_api.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>
#include <variant>

#include "api/audit.h"
#include "api/problem.h"

namespace sharedlock {

namespace {

LockName lock_name(const http::Request& request) {
  return {std::string(request.params[0]), std::string(request.params[1])};
}

LockSet lock_set(const http::Request& request, LockBody& asked) {
  return {.namespace_name = std::string(request.params[0]), .names = std::move(asked.names)};
}

http::Response json_answer(int status, std::string json) {
  return {status, http::kJson, std::move(json)};
}

http::Response refused(const http::Request& request) {
  return json_answer(423, success_json(false, lock_name(request)));
}

http::Response refused(const SetRefused& why) {
  return json_answer(423, to_json(why));
}

http::Response refused(const HoldAndWait& why) {
  ValidationErrors errors;
  for (const std::string& name : why.held) {
    errors.push_back("$.names: '" + name + "' is held by this instance, which may not wait for others meanwhile");
  }
  return invalid_body(errors);
}

// Answers an acquire or a renewal of a set.
http::Response set_answer(const SetAnswer& outcome) {
  if (auto* end = std::get_if<WaitEnd>(&outcome)) return wait_problem(*end);
  if (auto* why = std::get_if<SetRefused>(&outcome)) return refused(*why);
  if (auto* why = std::get_if<HoldAndWait>(&outcome)) return refused(*why);
  auto& grant = std::get<SetGrant>(outcome);
  http::Response response = json_answer(200, to_json(grant));
  response.add_header(kLockTtlHeader, ttl_of(grant).count());
  return response;
}

}  // namespace

std::vector<http::Route> LockApi::routes() {
  using http::Method;
  using Operation = LockOperation;
  constexpr auto kNewcomers = http::Priority::newcomers;
  constexpr auto kHolders = http::Priority::holders;
  static constexpr Row kRows[] = {
      {Method::get, "/v1/{namespace}/lock/{lockName}", {}, Operation::get, &LockApi::get, kNewcomers},
      {Method::post, "/v1/{namespace}/lock/{lockName}/acquire", kAcquireBody, Operation::acquire, &LockApi::acquire,
       kNewcomers},
      {Method::post, "/v1/{namespace}/lock/{lockName}/renew", kRenewBody, Operation::renew, &LockApi::renew, kHolders},
      {Method::post, "/v1/{namespace}/lock/{lockName}/release", kReleaseBody, Operation::release, &LockApi::release,
       kHolders},
      {Method::post, "/v1/{namespace}/lock/{lockName}/verify", kVerifyBody, Operation::verify, &LockApi::verify,
       kHolders},
      {Method::delete_,
       "/v1/{namespace}/lock/{lockName}",
       {},
       Operation::force_release,
       &LockApi::force_release,
       kHolders,
       /*for_administrators=*/true},
      {Method::post, "/v1/{namespace}/locks/acquire", kAcquireSetBody, Operation::acquire_set, &LockApi::acquire_set,
       kNewcomers},
      {Method::post, "/v1/{namespace}/locks/renew", kRenewSetBody, Operation::renew_set, &LockApi::renew_set, kHolders},
      {Method::post, "/v1/{namespace}/locks/release", kReleaseSetBody, Operation::release_set, &LockApi::release_set,
       kHolders},
  };
  std::vector<http::Route> routes;
  for (const Row& row : kRows) routes.push_back(route(row));
  return routes;
}

// `row` must live as long as the route.
http::Route LockApi::route(const Row& row) {
  http::Route route{row.method, row.pattern, [this, &row](const http::Request& request) { return serve(row, request); },
                    [this, &row](const http::Request& request) { return admit(row, request); }};
  route.priority = row.priority;
  route.count = [this, &row](int status) { metrics_.count(row.operation, status); };
  return route;
}

std::optional<http::Response> LockApi::admit(const Row& row, const http::Request& request) const {
  auto refusal =
      row.for_administrators ? access_.admit_administrator_to_locks(request) : access_.admit_to_locks(request);
  if (refusal) return refusal;
  if (std::ranges::all_of(request.params, is_name)) return std::nullopt;
  bool is_set = request.params.size() == 1;
  return invalid_path(is_set ? check_namespace(request.params[0])
                             : check_lock_path(request.params[0], request.params[1]));
}

// Reads the body, and passes it on or says what is wrong with it.
Task<http::Response> LockApi::serve(const Row& row, const http::Request& request) {
  auto body = row.body ? parse_lock_body(request.body, *row.body) : std::variant<LockBody, ValidationErrors>();
  if (auto* errors = std::get_if<ValidationErrors>(&body)) return ready_task(invalid_body(*errors));
  return (this->*row.handler)(request, std::get<LockBody>(body));
}

// Awaits the operation of a handler that does not wait in a queue: `answer` turns its result into the answer.
template <class Outcome, class Answer>
Task<http::Response> LockApi::answered(const http::Request& request, Task<Result<Outcome>> operation, Answer answer) {
  auto outcome = co_await std::move(operation);
  if (!outcome) co_return store_problem(outcome.error(), request, log_);
  co_return answer(*outcome);
}

Task<http::Response> LockApi::get(const http::Request& request, LockBody& /*asked*/) {
  return answered(request, look(request), [this, &request](const Looked& looked) {
    LockName name = lock_name(request);
    std::string json = strict_ ? to_strict_json(name, looked.lock) : to_json(name, looked.lock, looked.waiters);
    http::Response response = json_answer(200, std::move(json));
    if (looked.lock) response.add_header(kTokenHeader, number_of(looked.lock->token));
    return response;
  });
}

Task<Result<LockApi::Looked>> LockApi::look(const http::Request& request) {
  auto lock = co_await locks_.get(lock_name(request), request.received);
  if (!lock) co_return lock.error();
  Looked looked;
  looked.lock = *std::move(lock);
  if (!looked.lock || strict_) co_return looked;
  auto waiters = co_await locks_.count_waiters(lock_name(request), request.received);
  if (!waiters) co_return waiters.error();
  looked.waiters = *waiters;
  co_return looked;
}

AcquireRequest LockApi::acquire_request(const http::Request& request, LockBody& asked, LockName lock) const {
  AcquireRequest acquire{.lock = std::move(lock),
                         .holder = {access_.owner(request), std::move(asked.instance)},
                         .duration = asked.duration,
                         .received = request.received,
                         .wait = asked.wait,
                         .keep_place = asked.keep_place,
                         .when_disconnected = nullptr};
  if (asked.wait.count() > 0) {
    acquire.when_disconnected = [&request](auto told) { request.caller->on_disconnect(std::move(told)); };
  }
  return acquire;
}

Task<http::Response> LockApi::acquire(const http::Request& request, LockBody& asked) {
  return acquire_one(request, acquire_request(request, asked, lock_name(request)));
}

// Its frame lives as long as its client waits: so it holds little.
Task<http::Response> LockApi::acquire_one(const http::Request& request, AcquireRequest acquire) {
  bool waits = acquire.wait.count() > 0;
  CapacityPlace place(waiters_, waits);
  bool crowded = waits && !place.is_taken();
  if (crowded) acquire.wait = {};  // a free lock is still granted
  auto outcome = co_await locks_.acquire(acquire);
  if (crowded && outcome && std::holds_alternative<Refused>(*outcome)) co_return too_many_waiters();
  auto executor = co_await asio::this_coro::executor;
  co_return acquired(outcome, request, executor);
}

http::Response LockApi::acquired(const Result<LockAnswer>& outcome, const http::Request& request, Executor executor) {
  if (!outcome) return store_problem(outcome.error(), request, log_);
  auto* grant = std::get_if<LockGrant>(&*outcome);
  if (!grant) return refusal(*outcome, request);
  http::Response response = granted(*grant);
  if (grant->waited) {
    response.if_undelivered([this, executor, taken = *grant] { locks_.take_back(executor, taken); });
  }
  return response;
}

http::Response LockApi::granted(const LockGrant& grant) const {
  http::Response response = json_answer(200, strict_ ? to_strict_json(grant) : to_json(grant));
  response.add_header(kTokenHeader, number_of(grant.token));
  response.add_header(kLockTtlHeader, grant.ttl.count());
  return response;
}

// For an acquire.
http::Response LockApi::refusal(const LockAnswer& outcome, const http::Request& request) const {
  if (auto* end = std::get_if<WaitEnd>(&outcome)) return wait_problem(*end);
  auto& why = std::get<Refused>(outcome);
  return strict_ ? refused(request) : json_answer(423, to_json(lock_name(request), why));
}

Task<http::Response> LockApi::renew(const http::Request& request, LockBody& asked) {
  RenewRequest renew{.lock = lock_name(request),
                     .holder = {access_.owner(request), std::move(asked.instance)},
                     .duration = asked.duration,
                     .from = asked.from,
                     .token = asked.token,
                     .received = request.received};
  return answered(request, locks_.renew(std::move(renew)), [this, &request](const LockAnswer& outcome) {
    auto* grant = std::get_if<LockGrant>(&outcome);
    return grant ? granted(*grant) : refused(request);
  });
}

Task<http::Response> LockApi::release(const http::Request& request, LockBody& asked) {
  ReleaseRequest release{.lock = lock_name(request),
                         .holder = {access_.owner(request), std::move(asked.instance)},
                         .token = asked.token,
                         .received = request.received};
  return answered(request, locks_.release(std::move(release)), [&request](const std::optional<Refused>& why) {
    return why ? refused(request) : json_answer(200, success_json(true, lock_name(request)));
  });
}

Task<http::Response> LockApi::verify(const http::Request& request, LockBody& asked) {
  return answered(request, locks_.get(lock_name(request), request.received),
                  [token = *asked.token](const std::optional<HeldLock>& lock) {
                    return json_answer(200, verify_json(token, lock));
                  });
}

Task<http::Response> LockApi::force_release(const http::Request& request, LockBody& /*asked*/) {
  return answered(request, locks_.force_release(lock_name(request), request.received),
                  [this, &request](const std::optional<Entry>& entry) {
                    LockName lock = lock_name(request);
                    auto record = entry ? parse_lock_record(entry->value) : Error{Errc::corrupt, ""};
                    std::string what = "lock " + lock.namespace_name + ":" + lock.name;
                    audit_force_release(log_, request, what, record ? record->holder.owner : "", entry.has_value());
                    return json_answer(200, success_json(true, lock));
                  });
}

Task<http::Response> LockApi::acquire_set(const http::Request& request, LockBody& asked) {
  return acquire_all(request, lock_set(request, asked), acquire_request(request, asked, {}));
}

// Like acquire_one().
Task<http::Response> LockApi::acquire_all(const http::Request& request, LockSet set, AcquireRequest each) {
  bool waits = each.wait.count() > 0;
  CapacityPlace place(waiters_, waits);
  bool crowded = waits && !place.is_taken();
  if (crowded) each.wait = {};
  auto outcome = co_await sets_.acquire_all(std::move(set), std::move(each));
  if (!outcome) co_return store_problem(outcome.error(), request, log_);
  if (crowded && std::holds_alternative<SetRefused>(*outcome)) co_return too_many_waiters();
  http::Response response = set_answer(*outcome);
  auto* grants = std::get_if<SetGrant>(&*outcome);
  if (grants && grants->front().waited) {
    auto executor = co_await asio::this_coro::executor;
    response.if_undelivered([this, executor, taken = std::move(*grants)] {
      for (const LockGrant& grant : taken) locks_.take_back(executor, grant);
    });
  }
  co_return response;
}

Task<http::Response> LockApi::renew_set(const http::Request& request, LockBody& asked) {
  RenewRequest each{.lock = {},
                    .holder = {access_.owner(request), std::move(asked.instance)},
                    .duration = asked.duration,
                    .from = asked.from,
                    .token = std::nullopt,
                    .received = request.received};
  return answered(request, sets_.renew_all(lock_set(request, asked), std::move(each)), set_answer);
}

Task<http::Response> LockApi::release_set(const http::Request& request, LockBody& asked) {
  ReleaseRequest each{.lock = {},
                      .holder = {access_.owner(request), std::move(asked.instance)},
                      .token = std::nullopt,
                      .received = request.received};
  std::vector<std::string> names = asked.names;
  return answered(request, sets_.release_all(lock_set(request, asked), std::move(each)),
                  [names = std::move(names)](const std::optional<SetRefused>& why) {
                    return why ? refused(*why) : json_answer(200, released_json(names));
                  });
}

}  // namespace sharedlock
