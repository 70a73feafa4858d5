#include "api/access.h"

#include "api/problem.h"

namespace sharedlock {

namespace {

constexpr std::string_view kCrossSite = "Calls from pages of other sites are not allowed";

// A browser says so of every request that a page of another site made it send.
bool changes_from_another_site(const http::Request& request) {
  bool changes = request.method != http::Method::get && request.method != http::Method::head;
  return changes && request.header("Sec-Fetch-Site") == "cross-site";
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

std::string Access::owner(const http::Request&) const {
  return "anonymous";
}

}  // namespace sharedlock
