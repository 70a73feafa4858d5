#include "api/lease_api.h"

#include <string>
#include <utility>

namespace sharedlock {

namespace {

constexpr Ttl kDefaultTtl{10};
constexpr std::string_view kTtlHeader = "x-lease-ttl";

http::Response plain(int status, std::string text) {
  return {status, http::kPlainText, std::move(text)};
}

}  // namespace

std::vector<http::Route> LeaseApi::routes() {
  using http::Method;
  auto admit = [this](const http::Request& request) { return access_.admit_to_leases(request); };
  return {
      {Method::post, "/lease", [this](const auto& request) { return grant(request); }, admit, /*plain_text=*/true},
      {Method::post, "/keepalive", [this](const auto& request) { return keep_alive(request); }, admit,
       /*plain_text=*/true},
  };
}

Task<http::Response> LeaseApi::grant(const http::Request& request) {
  auto body = parse_lease_body(request.body);
  if (!body) co_return plain(400, "Failed to unmarshal request body: " + body.error().message);
  Ttl ttl = kDefaultTtl;
  if (auto header = request.header(kTtlHeader); header && !header->empty()) {
    auto asked = parse_lease_ttl(*header, options_.largest_ttl);
    if (!asked) co_return plain(400, "Failed to unmarshal request body: x-lease-ttl: " + asked.error().message);
    ttl = *asked;
  }
  if (log_.enabled(LogLevel::debug)) note(*body, request);

  GrantRequest asked{std::move(body->key), std::move(body->value), ttl, request.received};
  auto answer = co_await leases_.grant(std::move(asked));
  if (!answer) {
    count(LeaseOperation::get_error, request);
    co_return failed("Failed to create lease", answer.error(), request);
  }
  if (auto* refused = std::get_if<LeaseRefused>(&*answer)) {
    count(LeaseOperation::get_accepted, request);
    if (!options_.expose_holder_lease_id) co_return http::Response(202);
    co_return plain(202, std::to_string(number_of(refused->holder)));
  }
  count(LeaseOperation::get_created, request);
  auto& granted = std::get<LeaseGrant>(*answer);
  http::Response response = plain(201, std::to_string(number_of(granted.id)));
  response.add_header("x-fencing-token", number_of(granted.token));
  response.add_header(kTtlHeader, granted.ttl.count());
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
