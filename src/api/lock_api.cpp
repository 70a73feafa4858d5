#include "api/lock_api.h"

#include <boost/asio/this_coro.hpp>

#include "api/audit.h"
#include "api/lock_codec.h"
#include "api/problem.h"

namespace sharedlock {

namespace {

LockName lock_name(const http::Request& request) {
  return {request.params[0], request.params[1]};
}

http::Response refused(const http::Request& request) {
  return {423, http::kJson, success_json(false, lock_name(request))};
}

}  // namespace

std::vector<http::Route> LockApi::routes() {
  using http::Method;
  auto admit = [this](const http::Request& request) { return this->admit(request); };
  return {
      {Method::get, "/v1/{namespace}/lock/{lockName}", [this](const auto& request) { return get(request); }, admit},
      {Method::post, "/v1/{namespace}/lock/{lockName}/acquire",
       [this](const auto& request) { return acquire(request); }, admit},
      http::for_holders({Method::post, "/v1/{namespace}/lock/{lockName}/renew",
                         [this](const auto& request) { return renew(request); }, admit}),
      http::for_holders({Method::post, "/v1/{namespace}/lock/{lockName}/release",
                         [this](const auto& request) { return release(request); }, admit}),
      http::for_holders({Method::post, "/v1/{namespace}/lock/{lockName}/verify",
                         [this](const auto& request) { return verify(request); }, admit}),
      http::for_holders({Method::delete_, "/v1/{namespace}/lock/{lockName}",
                         [this](const auto& request) { return force_release(request); },
                         [this](const http::Request& request) { return admit_administrator(request); }}),
  };
}

std::optional<http::Response> LockApi::admit(const http::Request& request) const {
  if (auto refusal = access_.admit_to_locks(request)) return refusal;
  return check_path(request);
}

std::optional<http::Response> LockApi::admit_administrator(const http::Request& request) const {
  if (auto refusal = access_.admit_administrator_to_locks(request)) return refusal;
  return check_path(request);
}

std::optional<http::Response> LockApi::check_path(const http::Request& request) {
  ValidationErrors errors = check_lock_path(request.params[0], request.params[1]);
  if (errors.empty()) return std::nullopt;
  return invalid_path(errors);
}

Task<http::Response> LockApi::get(const http::Request& request) {
  auto lock = co_await locks_.get(lock_name(request), request.received);
  if (!lock) co_return counted(LockOperation::get, store_problem(lock.error(), request, log_));
  Result<std::size_t> waiters = std::size_t{0};
  bool counts = *lock && !strict_;
  if (counts) waiters = co_await locks_.count_waiters(lock_name(request), request.received);
  if (!waiters) co_return counted(LockOperation::get, store_problem(waiters.error(), request, log_));
  std::string json = strict_ ? to_strict_json(lock_name(request), *lock) : to_json(lock_name(request), *lock, *waiters);
  http::Response response(200, http::kJson, std::move(json));
  if (*lock) response.add_header(kTokenHeader, number_of((*lock)->token));
  co_return counted(LockOperation::get, std::move(response));
}

std::variant<AcquireRequest, ValidationErrors> LockApi::acquire_request(const http::Request& request) const {
  auto body = parse_lock_body(request.body, kAcquireBody);
  if (auto* errors = std::get_if<ValidationErrors>(&body)) return std::move(*errors);
  auto& asked = std::get<LockBody>(body);
  AcquireRequest acquire{.lock = lock_name(request),
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

// Its frame lives as long as its client waits: so it holds little.
Task<http::Response> LockApi::acquire(const http::Request& request) {
  auto asked = acquire_request(request);
  if (auto* errors = std::get_if<ValidationErrors>(&asked))
    co_return counted(LockOperation::acquire, invalid_body(*errors));
  auto& acquire = std::get<AcquireRequest>(asked);
  bool waits = acquire.wait.count() > 0;
  CapacityPlace place(waiters_, waits);
  bool crowded = waits && !place.is_taken();
  if (crowded) acquire.wait = {};  // what is free it gets all the same
  auto outcome = co_await locks_.acquire(acquire);
  if (crowded && outcome && std::holds_alternative<Refused>(*outcome))
    co_return counted(LockOperation::acquire, too_many_waiters());
  auto executor = co_await asio::this_coro::executor;
  co_return counted(LockOperation::acquire, acquired(outcome, request, executor));
}

http::Response LockApi::acquired(const Result<LockAnswer>& outcome, const http::Request& request, Executor executor) {
  auto* grant = outcome ? std::get_if<LockGrant>(&*outcome) : nullptr;
  if (!grant) return refusal(outcome, request);
  http::Response response = answer(outcome, request);
  if (grant->waited) {
    response.if_undelivered([this, executor, taken = *grant] { locks_.take_back(executor, taken); });
  }
  return response;
}

Task<http::Response> LockApi::renew(const http::Request& request) {
  auto body = parse_lock_body(request.body, kRenewBody);
  if (auto* errors = std::get_if<ValidationErrors>(&body))
    co_return counted(LockOperation::renew, invalid_body(*errors));
  auto& asked = std::get<LockBody>(body);
  RenewRequest renew{.lock = lock_name(request),
                     .holder = {access_.owner(request), std::move(asked.instance)},
                     .duration = asked.duration,
                     .from = asked.from,
                     .token = asked.token,
                     .received = request.received};
  auto outcome = co_await locks_.renew(std::move(renew));
  co_return counted(LockOperation::renew, answer(outcome, request));
}

Task<http::Response> LockApi::release(const http::Request& request) {
  auto body = parse_lock_body(request.body, kReleaseBody);
  if (auto* errors = std::get_if<ValidationErrors>(&body))
    co_return counted(LockOperation::release, invalid_body(*errors));
  auto& asked = std::get<LockBody>(body);
  ReleaseRequest release{.lock = lock_name(request),
                         .holder = {access_.owner(request), std::move(asked.instance)},
                         .token = asked.token,
                         .received = request.received};
  auto outcome = co_await locks_.release(std::move(release));
  if (!outcome) co_return counted(LockOperation::release, store_problem(outcome.error(), request, log_));
  if (*outcome) co_return counted(LockOperation::release, refused(request));
  co_return counted(LockOperation::release, http::Response(200, http::kJson, success_json(true, lock_name(request))));
}

// Of an acquire.
http::Response LockApi::refusal(const Result<LockAnswer>& outcome, const http::Request& request) const {
  if (!outcome) return store_problem(outcome.error(), request, log_);
  if (auto* end = std::get_if<WaitEnd>(&*outcome)) return wait_problem(*end);
  auto& why = std::get<Refused>(*outcome);
  return strict_ ? refused(request) : http::Response(423, http::kJson, to_json(lock_name(request), why));
}

http::Response LockApi::answer(const Result<LockAnswer>& outcome, const http::Request& request) const {
  if (!outcome) return store_problem(outcome.error(), request, log_);
  auto* grant = std::get_if<LockGrant>(&*outcome);
  if (!grant) return refused(request);
  http::Response response(200, http::kJson, strict_ ? to_strict_json(*grant) : to_json(*grant));
  response.add_header(kTokenHeader, number_of(grant->token));
  response.add_header(kLockTtlHeader, grant->ttl.count());
  return response;
}

Task<http::Response> LockApi::verify(const http::Request& request) {
  auto body = parse_lock_body(request.body, kVerifyBody);
  if (auto* errors = std::get_if<ValidationErrors>(&body))
    co_return counted(LockOperation::verify, invalid_body(*errors));
  auto lock = co_await locks_.get(lock_name(request), request.received);
  if (!lock) co_return counted(LockOperation::verify, store_problem(lock.error(), request, log_));
  std::string json = verify_json(*std::get<LockBody>(body).token, *lock);
  co_return counted(LockOperation::verify, http::Response(200, http::kJson, std::move(json)));
}

Task<http::Response> LockApi::force_release(const http::Request& request) {
  LockName lock = lock_name(request);
  auto entry = co_await locks_.force_release(lock, request.received);
  if (!entry) co_return counted(LockOperation::force_release, store_problem(entry.error(), request, log_));
  auto record = *entry ? parse_lock_record((*entry)->value) : Error{Errc::corrupt, ""};
  std::string what = "lock " + lock.namespace_name + ":" + lock.name;
  audit_force_release(log_, request, what, record ? record->holder.owner : "", entry->has_value());
  co_return counted(LockOperation::force_release, http::Response(200, http::kJson, success_json(true, lock)));
}

http::Response LockApi::counted(LockOperation operation, http::Response response) const {
  metrics_.count(operation, response.status());
  return response;
}

}  // namespace sharedlock
