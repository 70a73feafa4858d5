#include "api/access.h"

#include "api/problem.h"
#include "base/sha256.h"
#include "http/text.h"

namespace sharedlock {

namespace {

constexpr std::string_view kAdministrators = "For administrators only";
constexpr std::string_view kCrossSite = "Calls from pages of other sites are not allowed";

// `https://host:port`; "null" for a page that must not say where it is from.
bool is_origin_at(std::string_view origin, std::optional<std::string_view> host) {
  std::size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && host && http::equal_ignoring_case(origin.substr(scheme + 3), *host);
}

// Every browser sends Origin with a changing request that a page made it send. Sec-Fetch-Site says more, but comes only
// where the address is https or of this machine. Who is no browser sends neither: all headers are looked at once.
bool changes_from_another_site(const http::Request& request) {
  if (request.method == http::Method::get || request.method == http::Method::head) return false;
  for (const http::Header& header : request.headers) {
    if (http::equal_ignoring_case(header.name, "Sec-Fetch-Site")) {
      if (header.value == "cross-site") return true;
    } else if (http::equal_ignoring_case(header.name, "Origin")) {
      if (!is_origin_at(header.value, request.header("Host"))) return true;
    }
  }
  return false;
}

}  // namespace

std::optional<http::Response> Access::admit_to_locks(const http::Request& request) const {
  if (!options_.authentication_disabled) {
    http::Response answer = message_problem(
        401, "Authentication is not configured: set jwt.issuer or jwt.jwks, or authentication.disabled=true");
    bool token_was_sent = request.header("Authorization").has_value();
    answer.add_header("WWW-Authenticate", token_was_sent ? "Bearer error=\"invalid_token\"" : "Bearer");
    return answer;
  }
  if (changes_from_another_site(request)) return message_problem(403, kCrossSite);
  return std::nullopt;
}

std::optional<http::Response> Access::admit_to_leases(const http::Request& request) const {
  if (changes_from_another_site(request)) return http::Response(403, http::kPlainText, std::string(kCrossSite));
  return std::nullopt;
}

std::optional<http::Response> Access::admit_administrator_to_locks(const http::Request& request) const {
  if (!is_administrator(request)) {
    auto refused = admit_to_locks(request);
    return refused ? refused : message_problem(403, kAdministrators);
  }
  if (changes_from_another_site(request)) return message_problem(403, kCrossSite);
  return std::nullopt;
}

std::optional<http::Response> Access::admit_administrator_to_leases(const http::Request& request) const {
  if (auto refused = admit_to_leases(request)) return refused;
  if (!is_administrator(request)) return http::Response(403, http::kPlainText, std::string(kAdministrators));
  return std::nullopt;
}

// Digests are compared, so that how long that takes says nothing about the token, nor about its length.
bool Access::is_administrator(const http::Request& request) const {
  auto sent = request.header("X-Admin-Token");
  if (options_.admin_token.empty() || !sent) return false;
  std::string theirs = sha256_hex(*sent);
  std::string ours = sha256_hex(options_.admin_token);
  unsigned difference = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) difference |= static_cast<unsigned char>(ours[i] ^ theirs[i]);
  return difference == 0;
}

std::string Access::owner(const http::Request&) const {
  return "anonymous";
}

}  // namespace sharedlock
