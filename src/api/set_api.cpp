#include "api/set_api.h"

#include <boost/asio/this_coro.hpp>
#include <utility>

#include "api/lock_codec.h"
#include "api/problem.h"

namespace sharedlock {

namespace {

http::Response refused(const SetRefused& why) {
  return {423, http::kJson, to_json(why)};
}

http::Response refused(const HoldAndWait& why) {
  ValidationErrors errors;
  for (const std::string& name : why.held) {
    errors.push_back("$.names: '" + name + "' is held by this instance, which may not wait for others meanwhile");
  }
  return invalid_body(errors);
}

}  // namespace

std::vector<http::Route> SetApi::routes() {
  using http::Method;
  auto admit = [this](const http::Request& request) { return this->admit(request); };
  return {
      {Method::post, "/v1/{namespace}/locks/acquire", [this](const auto& request) { return acquire(request); }, admit},
      http::for_holders(
          {Method::post, "/v1/{namespace}/locks/renew", [this](const auto& request) { return renew(request); }, admit}),
      http::for_holders({Method::post, "/v1/{namespace}/locks/release",
                         [this](const auto& request) { return release(request); }, admit}),
  };
}

std::optional<http::Response> SetApi::admit(const http::Request& request) const {
  if (auto refusal = access_.admit_to_locks(request)) return refusal;
  ValidationErrors errors = check_namespace(request.params[0]);
  if (errors.empty()) return std::nullopt;
  return invalid_path(errors);
}

Task<http::Response> SetApi::acquire(const http::Request& request) {
  auto body = parse_lock_body(request.body, kAcquireSetBody);
  if (auto* errors = std::get_if<ValidationErrors>(&body))
    co_return counted(LockOperation::acquire_set, invalid_body(*errors));
  auto& asked = std::get<LockBody>(body);
  AcquireRequest each{.lock = {},
                      .holder = {access_.owner(request), std::move(asked.instance)},
                      .duration = asked.duration,
                      .received = request.received,
                      .wait = asked.wait,
                      .keep_place = asked.keep_place,
                      .when_disconnected = nullptr};
  bool waits = asked.wait.count() > 0;
  CapacityPlace place(waiters_, waits);
  bool crowded = waits && !place.is_taken();
  if (crowded) each.wait = {};  // what is free it gets all the same
  if (waits) each.when_disconnected = [&request](auto told) { request.caller->on_disconnect(std::move(told)); };
  LockSet set{.namespace_name = request.params[0], .names = std::move(asked.names)};
  auto outcome = co_await locks_.acquire_all(std::move(set), std::move(each));
  if (crowded && outcome && std::holds_alternative<SetRefused>(*outcome))
    co_return counted(LockOperation::acquire_set, too_many_waiters());
  http::Response response = answer(outcome, request);
  auto* grants = outcome ? std::get_if<SetGrant>(&*outcome) : nullptr;
  if (grants && grants->front().waited) {
    auto executor = co_await asio::this_coro::executor;
    response.if_undelivered([this, executor, taken = std::move(*grants)] {
      for (const LockGrant& grant : taken) locks_.take_back(executor, grant);
    });
  }
  co_return counted(LockOperation::acquire_set, std::move(response));
}

Task<http::Response> SetApi::renew(const http::Request& request) {
  auto body = parse_lock_body(request.body, kRenewSetBody);
  if (auto* errors = std::get_if<ValidationErrors>(&body))
    co_return counted(LockOperation::renew_set, invalid_body(*errors));
  auto& asked = std::get<LockBody>(body);
  RenewRequest each{.lock = {},
                    .holder = {access_.owner(request), std::move(asked.instance)},
                    .duration = asked.duration,
                    .from = asked.from,
                    .token = std::nullopt,
                    .received = request.received};
  LockSet set{.namespace_name = request.params[0], .names = std::move(asked.names)};
  auto outcome = co_await locks_.renew_all(std::move(set), std::move(each));
  co_return counted(LockOperation::renew_set, answer(outcome, request));
}

Task<http::Response> SetApi::release(const http::Request& request) {
  auto body = parse_lock_body(request.body, kReleaseSetBody);
  if (auto* errors = std::get_if<ValidationErrors>(&body))
    co_return counted(LockOperation::release_set, invalid_body(*errors));
  auto& asked = std::get<LockBody>(body);
  ReleaseRequest each{.lock = {},
                      .holder = {access_.owner(request), std::move(asked.instance)},
                      .token = std::nullopt,
                      .received = request.received};
  LockSet set{.namespace_name = request.params[0], .names = asked.names};
  auto outcome = co_await locks_.release_all(std::move(set), std::move(each));
  if (!outcome) co_return counted(LockOperation::release_set, store_problem(outcome.error(), request, log_));
  if (*outcome) co_return counted(LockOperation::release_set, refused(**outcome));
  http::Response response(200, http::kJson, released_json(asked.names));
  co_return counted(LockOperation::release_set, std::move(response));
}

// To acquire and renew.
http::Response SetApi::answer(const Result<SetAnswer>& outcome, const http::Request& request) const {
  if (!outcome) return store_problem(outcome.error(), request, log_);
  if (auto* end = std::get_if<WaitEnd>(&*outcome)) return wait_problem(*end);
  if (auto* why = std::get_if<SetRefused>(&*outcome)) return refused(*why);
  if (auto* why = std::get_if<HoldAndWait>(&*outcome)) return refused(*why);
  auto& grant = std::get<SetGrant>(*outcome);
  http::Response response(200, http::kJson, to_json(grant));
  response.add_header(kLockTtlHeader, ttl_of(grant).count());
  return response;
}

http::Response SetApi::counted(LockOperation operation, http::Response response) const {
  metrics_.count(operation, response.status());
  return response;
}

}  // namespace sharedlock
