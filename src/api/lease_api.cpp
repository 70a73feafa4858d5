#include "api/lease_api.h"

#include <boost/asio/this_coro.hpp>
#include <string>
#include <utility>

#include "api/audit.h"
#include "api/problem.h"

namespace sharedlock {

namespace {

constexpr Ttl kDefaultTtl{10};
constexpr std::string_view kTtlHeader = "x-lease-ttl";
constexpr std::string_view kWaitHeader = "x-lease-wait";
constexpr std::string_view kKeepPlaceHeader = "x-lease-keep-place";
constexpr std::string_view kIdHeader = "x-lease-id";

http::Response plain(int status, std::string text) {
  return {status, http::kPlainText, std::move(text)};
}

http::Response granted(const LeaseGrant& grant) {
  http::Response response = plain(201, std::to_string(number_of(grant.id)));
  response.add_header("x-fencing-token", number_of(grant.token));
  response.add_header(kTtlHeader, grant.ttl.count());
  return response;
}

}  // namespace

std::vector<http::Route> LeaseApi::routes() {
  using http::Method;
  auto admit = [this](const http::Request& request) { return access_.admit_to_leases(request); };
  return {
      {Method::post, "/lease", [this](const auto& request) { return grant(request); }, admit, /*plain_text=*/true},
      http::for_holders({Method::post, "/keepalive", [this](const auto& request) { return keep_alive(request); }, admit,
                         /*plain_text=*/true}),
      http::for_holders({Method::post, "/release", [this](const auto& request) { return release(request); }, admit,
                         /*plain_text=*/true}),
      {Method::get, "/lease", [this](const auto& request) { return get(request); }, admit, /*plain_text=*/true},
      http::for_holders(
          {Method::delete_, "/lease", [this](const auto& request) { return force_release(request); },
           [this](const http::Request& request) { return access_.admit_administrator_to_leases(request); },
           /*plain_text=*/true}),
  };
}

// What the headers ask for; invalid_argument says what is wrong with them.
Result<GrantRequest> LeaseApi::to_grant(LeaseBody body, const http::Request& request) const {
  GrantRequest grant{
      .key = std::move(body.key), .value = std::move(body.value), .ttl = kDefaultTtl, .received = request.received};
  auto sent = [&](std::string_view name) {
    auto header = request.header(name);
    return header && !header->empty() ? header : std::nullopt;
  };
  auto wrong = [](std::string_view name, const Error& error) {
    return Error{error.code, std::string(name) + ": " + error.message};
  };
  if (auto header = sent(kTtlHeader)) {
    auto ttl = parse_lease_ttl(*header, options_.largest_ttl);
    if (!ttl) return wrong(kTtlHeader, ttl.error());
    grant.ttl = *ttl;
  }
  if (auto header = sent(kWaitHeader)) {
    auto wait = parse_lease_wait(*header);
    if (!wait) return wrong(kWaitHeader, wait.error());
    grant.wait = *wait;
  }
  if (auto header = sent(kIdHeader)) {
    auto id = parse_chosen_lease_id(*header);
    if (!id) return wrong(kIdHeader, id.error());
    grant.id = *id;
  }
  if (auto header = sent(kKeepPlaceHeader)) {
    auto span = parse_lease_keep_place(*header);
    if (!span) return wrong(kKeepPlaceHeader, span.error());
    bool for_nobody = *span > std::chrono::nanoseconds(0) && !grant.id;
    if (for_nobody)
      return Error{Errc::invalid_argument, "x-lease-keep-place: needs x-lease-id, to know who comes back"};
    grant.keep_place = *span;
  }
  if (grant.wait > std::chrono::nanoseconds(0)) {
    grant.when_disconnected = [&request](auto told) { request.caller->on_disconnect(std::move(told)); };
  }
  return grant;
}

Task<http::Response> LeaseApi::grant(const http::Request& request) {
  auto body = parse_lease_body(request.body);
  if (!body) co_return plain(400, "Failed to unmarshal request body: " + body.error().message);
  if (log_.enabled(LogLevel::debug)) note(*body, request);
  auto asked = to_grant(*std::move(body), request);
  if (!asked) co_return plain(400, "Failed to unmarshal request body: " + asked.error().message);

  bool waits = asked->wait > std::chrono::nanoseconds(0);
  CapacityPlace place(waiters_, waits);
  bool crowded = waits && !place.is_taken();
  if (crowded) asked->wait = {};  // a free key is granted all the same
  auto answer = co_await leases_.grant(*asked);
  if (!answer) {
    count(LeaseOperation::get_error, request);
    if (answer.error().code == Errc::lease_in_use) co_return plain(409, "Lease id in use");
    co_return failed("Failed to create lease", answer.error(), request);
  }
  if (auto* refused = std::get_if<LeaseRefused>(&*answer)) {
    if (crowded) co_return sent_elsewhere(kTooManyWaiters, request);
    count(LeaseOperation::get_accepted, request);
    if (!options_.expose_holder_lease_id || !refused->holder) co_return http::Response(202);
    co_return plain(202, std::to_string(number_of(*refused->holder)));
  }
  if (auto* end = std::get_if<WaitEnd>(&*answer)) {
    bool elsewhere = *end == WaitEnd::draining || *end == WaitEnd::store_lost;
    if (elsewhere) co_return sent_elsewhere(sent_elsewhere_because(*end), request);
    count(LeaseOperation::get_error, request);
    if (*end == WaitEnd::superseded) co_return plain(409, "A newer request of this lease id waits for the key");
    co_return plain(400, std::string(kDisconnected));
  }
  count(LeaseOperation::get_created, request);
  const LeaseGrant& grant = std::get<LeaseGrant>(*answer);
  http::Response response = granted(grant);
  if (grant.undoable) {
    auto executor = co_await asio::this_coro::executor;
    response.if_undelivered(
        [this, executor, key = std::move(asked->key), grant] { leases_.take_back(executor, key, grant); });
  }
  co_return response;
}

Task<http::Response> LeaseApi::keep_alive(const http::Request& request) {
  auto id = parse_lease_id(request.body);
  if (!id) co_return plain(500, "Failed to parse lease id");
  auto ttl = co_await leases_.keep_alive(*id, request.received);
  count(ttl ? LeaseOperation::prolong_success : LeaseOperation::prolong_failure, request);
  if (!ttl && ttl.error().code == Errc::lease_not_found) co_return http::Response(204);
  if (!ttl) co_return failed("Failed to prolong lease", ttl.error(), request);
  http::Response response(200);
  response.add_header(kTtlHeader, ttl->count());
  co_return response;
}

Task<http::Response> LeaseApi::release(const http::Request& request) {
  auto id = parse_lease_id(request.body);
  if (!id) co_return plain(500, "Failed to parse lease id");
  auto released = co_await leases_.release(*id, request.received);
  if (!released && released.error().code == Errc::lease_not_found) co_return http::Response(204);
  if (!released) co_return failed("Failed to release lease", released.error(), request);
  co_return http::Response(200);
}

Task<http::Response> LeaseApi::get(const http::Request& request) {
  auto key = parse_lease_query(request.query);
  if (!key) co_return plain(400, key.error().message);
  auto lease = co_await leases_.get(*key, request.received);
  if (!lease) co_return failed("Failed to get lease", lease.error(), request);
  if (!*lease) co_return plain(404, "Nobody holds this key");
  co_return http::Response(200, http::kJson, to_json(*key, **lease));
}

Task<http::Response> LeaseApi::force_release(const http::Request& request) {
  auto key = parse_lease_query(request.query);
  if (!key) co_return plain(400, key.error().message);
  auto lease = co_await leases_.force_release(*key, request.received);
  if (!lease) co_return failed("Failed to release lease", lease.error(), request);
  audit_force_release(log_, request, "lease " + *key, *lease ? (*lease)->value : "", lease->has_value());
  co_return *lease ? http::Response(200) : plain(404, "Nobody holds this key");
}

void LeaseApi::note(const LeaseBody& asked, const http::Request& request) const {
  log_.write(LogLevel::debug, "lease asked for",
             {{"request", request.id}, {"key", asked.key}, {"labels", asked.labels}, {"timestamp", asked.timestamp}});
}

http::Response LeaseApi::failed(std::string_view what, const Error& error, const http::Request& request) const {
  log_.write(LogLevel::error, what, {{"request", request.id}, {"error", error.message}});
  return plain(500, std::string(what));
}

// For a request that can't wait here.
http::Response LeaseApi::sent_elsewhere(std::string_view why, const http::Request& request) {
  count(LeaseOperation::get_error, request);
  http::Response response = plain(503, std::string(why));
  response.add_header("Retry-After", 1);
  return response;
}

void LeaseApi::count(LeaseOperation operation, const http::Request& request) {
  metrics_.count(operation, clock_.boot_now() - request.received);
}

}  // namespace sharedlock
