#include "api/access.h"

#include <algorithm>

#include "api/problem.h"
#include "base/sha256.h"
#include "http/client_address.h"
#include "http/text.h"

namespace sharedlock {

namespace {

constexpr std::string_view kAdministrators = "For administrators only";
constexpr std::string_view kCrossSite = "Calls from pages of other sites are not allowed";

// A page's origin, as a browser writes it; "null", without a host, if it must not be revealed.
struct PageOrigin {
  explicit PageOrigin(std::string_view origin) {
    std::size_t end = std::min(origin.find("://"), origin.size());
    std::string_view scheme = origin.substr(0, end);
    if (http::equal_ignoring_case(scheme, "http")) default_port = ":80";
    if (http::equal_ignoring_case(scheme, "https")) default_port = ":443";
    if (!default_port.empty() && end < origin.size()) host = origin.substr(end + 3);
  }

  // Whether a request for `name`, with or without the default port, goes to the page's own origin.
  bool is_at(std::string_view name) const {
    if (host.empty()) return false;
    return http::equal_ignoring_case(without_port(host), without_port(name));
  }
  std::string_view without_port(std::string_view name) const {
    if (name.ends_with(default_port)) name.remove_suffix(default_port.size());
    return name;
  }

  std::string_view host;  // with its port, unless it is the default
  std::string_view default_port;
};

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// Whether it matches any of the names that the request had on its way here. A page of another site can't set these
// headers without a preflight request, which is never answered.
bool is_at_a_name_of_ours(const PageOrigin& origin, const http::Request& request) {
  if (origin.is_at(request.header("Host").value_or(""))) return true;
  if (request.peer == nullptr || request.peer->proxies == nullptr) return false;
  for (const http::Header& header : request.headers) {
    if (!http::equal_ignoring_case(header.name, "X-Forwarded-Host")) continue;
    for (std::string_view names = header.value; !names.empty();) {
      std::string_view name = names.substr(0, names.find(','));
      names.remove_prefix(std::min(names.size(), name.size() + 1));
      if (origin.is_at(trimmed(name))) return true;
    }
  }
  return false;
}

}  // namespace

// Every browser sends Origin with a changing request made by a page. Sec-Fetch-Site is its own statement of the page's
// site, whatever a proxy makes of Host; it is sent only if the address is https or on this machine. Other clients send
// neither: one pass over the headers finds both.
bool Access::changes_from_another_site(const http::Request& request) const {
  if (request.method == http::Method::get || request.method == http::Method::head) return false;
  std::optional<std::string_view> site;
  std::optional<std::string_view> origin;
  for (const http::Header& header : request.headers) {
    if (http::equal_ignoring_case(header.name, "Sec-Fetch-Site")) {
      if (site && *site != header.value) return true;  // no browser contradicts itself
      site = header.value;
    } else if (http::equal_ignoring_case(header.name, "Origin")) {
      if (origin && *origin != header.value) return true;
      origin = header.value;
    }
  }
  if (!site && !origin) return false;
  if (site == "same-origin" || site == "none") return false;
  if (origin && is_allowed(*origin)) return false;
  if (site == "cross-site") return true;
  return origin && !is_at_a_name_of_ours(PageOrigin(*origin), request);
}

bool Access::is_allowed(std::string_view origin) const {
  auto is_it = [&](const std::string& allowed) { return http::equal_ignoring_case(allowed, origin); };
  return std::ranges::any_of(options_.allowed_origins, is_it);
}

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

// Compares digests, so that the time taken reveals neither the token nor its length.
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
