#include "api/lease_api.h"

#include <boost/asio/this_coro.hpp>
#include <string>
#include <utility>
#include <variant>

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

// For a request that can't wait here.
http::Response sent_elsewhere(std::string_view why) {
  http::Response response = plain(503, std::string(why));
  response.add_header("Retry-After", 1);
  return response;
}

Result<LeaseId> read_id(const http::Request& request) {
  return parse_lease_id(request.body);
}

Result<std::string> read_key(const http::Request& request) {
  return parse_lease_query(request.query);
}

http::Response refuse_grant(const Error& error) {
  return plain(400, "Failed to unmarshal request body: " + error.message);
}

http::Response refuse_id(const Error& /*error*/) {
  return plain(500, "Failed to parse lease id");
}

http::Response refuse_key(const Error& error) {
  return plain(400, error.message);
}

LeaseOperation grant_ended(int status) {
  if (status == 201) return LeaseOperation::get_created;
  return status == 202 ? LeaseOperation::get_accepted : LeaseOperation::get_error;
}

}  // namespace

std::vector<http::Route> LeaseApi::routes() {
  using http::Method;
  auto row = [this](Method method, std::string_view pattern, http::Handler handler) {
    auto admit = [this](const http::Request& request) { return access_.admit_to_leases(request); };
    return http::Route{method, pattern, std::move(handler), admit, /*plain_text=*/true};
  };
  auto to_grant = [this](const http::Request& request) { return this->to_grant(request); };
  http::Route force_release = row(Method::delete_, "/lease", reading(read_key, refuse_key, &LeaseApi::force_release));
  force_release.admit = [this](const http::Request& request) { return access_.admit_administrator_to_leases(request); };
  return {
      row(Method::post, "/lease", reading(to_grant, refuse_grant, &LeaseApi::grant)),
      http::for_holders(row(Method::post, "/keepalive", reading(read_id, refuse_id, &LeaseApi::keep_alive))),
      http::for_holders(row(Method::post, "/release", reading(read_id, refuse_id, &LeaseApi::release))),
      row(Method::get, "/lease", reading(read_key, refuse_key, &LeaseApi::get)),
      http::for_holders(std::move(force_release)),
  };
}

// A handler that reads the request with `read`, and passes it on or answers `refuse` of the error. Not a coroutine of
// its own, see http::Count.
template <class Read, class Asked>
http::Handler LeaseApi::reading(Read read, http::Response (*refuse)(const Error&),
                                Task<http::Response> (LeaseApi::*handle)(const http::Request&, Asked)) {
  return [this, read, refuse, handle](const http::Request& request) {
    Result<Asked> asked = read(request);
    return asked ? (this->*handle)(request, *std::move(asked)) : ready_task(refuse(asked.error()));
  };
}

// Reads the body and the headers of POST /lease; invalid_argument says what is wrong with them.
Result<GrantRequest> LeaseApi::to_grant(const http::Request& request) const {
  auto body = parse_lease_body(request.body);
  if (!body) return body.error();
  if (log_.enabled(LogLevel::debug)) note(*body, request);
  return with_headers(std::move(*body), request);
}

// Reads the headers; invalid_argument says what is wrong with them.
Result<GrantRequest> LeaseApi::with_headers(LeaseBody&& body, const http::Request& request) const {
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

// Its frame lives as long as its client waits: so it holds little.
Task<http::Response> LeaseApi::grant(const http::Request& request, GrantRequest asked) {
  bool waits = asked.wait > std::chrono::nanoseconds(0);
  CapacityPlace place(waiters_, waits);
  bool crowded = waits && !place.is_taken();
  if (crowded) asked.wait = {};  // a free key is still granted
  auto outcome = co_await leases_.grant(asked);
  bool turned_away = crowded && outcome && std::holds_alternative<LeaseRefused>(*outcome);
  http::Response response = turned_away ? sent_elsewhere(kTooManyWaiters) : answer(outcome, request);
  count(grant_ended(response.status()), request);
  auto* grant = outcome ? std::get_if<LeaseGrant>(&*outcome) : nullptr;
  if (grant && grant->undoable) {
    auto executor = co_await asio::this_coro::executor;
    response.if_undelivered(
        [this, executor, key = std::move(asked.key), grant = *grant] { leases_.take_back(executor, key, grant); });
  }
  co_return response;
}

// For a grant.
http::Response LeaseApi::answer(const Result<LeaseService::Answer>& outcome, const http::Request& request) const {
  if (!outcome && outcome.error().code == Errc::lease_in_use) return plain(409, "Lease id in use");
  if (!outcome) return failed("Failed to create lease", outcome.error(), request);
  if (auto* grant = std::get_if<LeaseGrant>(&*outcome)) return granted(*grant);
  if (auto* refused = std::get_if<LeaseRefused>(&*outcome)) {
    bool names_holder = options_.expose_holder_lease_id && refused->holder;
    return names_holder ? plain(202, std::to_string(number_of(*refused->holder))) : http::Response(202);
  }
  auto end = std::get<WaitEnd>(*outcome);
  if (end == WaitEnd::superseded) return plain(409, "A newer request of this lease id waits for the key");
  if (end == WaitEnd::disconnected) return plain(400, std::string(kDisconnected));
  return sent_elsewhere(sent_elsewhere_because(end));
}

Task<http::Response> LeaseApi::keep_alive(const http::Request& request, LeaseId id) {
  auto ttl = co_await leases_.keep_alive(id, request.received);
  count(ttl ? LeaseOperation::prolong_success : LeaseOperation::prolong_failure, request);
  if (!ttl && ttl.error().code == Errc::lease_not_found) co_return http::Response(204);
  if (!ttl) co_return failed("Failed to prolong lease", ttl.error(), request);
  http::Response response(200);
  response.add_header(kTtlHeader, ttl->count());
  co_return response;
}

Task<http::Response> LeaseApi::release(const http::Request& request, LeaseId id) {
  auto released = co_await leases_.release(id, request.received);
  if (!released && released.error().code == Errc::lease_not_found) co_return http::Response(204);
  if (!released) co_return failed("Failed to release lease", released.error(), request);
  co_return http::Response(200);
}

Task<http::Response> LeaseApi::get(const http::Request& request, std::string key) {
  auto lease = co_await leases_.get(key, request.received);
  if (!lease) co_return failed("Failed to get lease", lease.error(), request);
  if (!*lease) co_return plain(404, "Nobody holds this key");
  co_return http::Response(200, http::kJson, to_json(key, **lease));
}

Task<http::Response> LeaseApi::force_release(const http::Request& request, std::string key) {
  auto lease = co_await leases_.force_release(key, request.received);
  if (!lease) co_return failed("Failed to release lease", lease.error(), request);
  audit_force_release(log_, request, "lease " + key, *lease ? (*lease)->value : "", lease->has_value());
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

void LeaseApi::count(LeaseOperation operation, const http::Request& request) {
  metrics_.count(operation, clock_.boot_now() - request.received);
}

}  // namespace sharedlock
