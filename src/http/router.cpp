#include "http/router.h"

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>

#include "base/random.h"
#include "http/target.h"

namespace sharedlock::http {

namespace {

// No pattern of ours is longer; a longer path fits none.
constexpr std::size_t kMaxSegments = 16;
using Segments = std::array<std::string_view, kMaxSegments>;

// How a trailing slash is represented as a segment: no other segment can hold a slash.
constexpr std::string_view kTrailingSlash = "/";

// The segments of `path`, which begins with '/'. None when there are too many, or an empty one: "//" is not a valid
// path here. The root has no segments.
std::optional<std::span<const std::string_view>> split(std::string_view path, Segments& segments) {
  if (path.empty() || path.front() != '/') return std::nullopt;
  std::size_t count = 0;
  std::size_t from = 1;
  while (from < path.size() || count > 0) {
    std::size_t end = std::min(path.find('/', from), path.size());
    bool is_trailing_slash = from == path.size();
    if ((end == from && !is_trailing_slash) || count == kMaxSegments) return std::nullopt;
    segments[count++] = is_trailing_slash ? kTrailingSlash : path.substr(from, end - from);
    if (end == path.size()) break;
    from = end + 1;
  }
  return std::span<const std::string_view>(segments.data(), count);
}

bool fits(std::span<const std::string_view> pattern, std::span<const std::string_view> segments) {
  if (pattern.size() != segments.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    bool fits_here = pattern[i].empty() ? segments[i] != kTrailingSlash : segments[i] == pattern[i];
    if (!fits_here) return false;
  }
  return true;
}

NoRoute bad_request(std::string_view message) {
  return {Response(400, kJson, "{\"message\":\"" + std::string(message) + "\"}")};
}

std::string with_error_id(std::string_view message) {
  return "{\"message\":\"" + std::string(message) + "\",\"errorId\":\"" + random_uuid() + "\"}";
}

// Which methods a path has, as found so far.
struct Allowed {
  std::array<bool, static_cast<std::size_t>(Method::other) + 1> methods{};
  bool plain_text = false;

  void add(const Route& route) {
    methods[static_cast<std::size_t>(route.method)] = true;
    if (route.method == Method::get) methods[static_cast<std::size_t>(Method::head)] = true;
    plain_text = plain_text || route.plain_text;
  }
  bool any() const { return std::ranges::find(methods, true) != methods.end(); }
  std::string list() const {
    std::string names;
    for (std::size_t i = 0; i < methods.size(); ++i) {
      if (!methods[i]) continue;
      if (!names.empty()) names += ", ";
      names += name_of(static_cast<Method>(i));
    }
    return names;
  }
};

NoRoute method_not_allowed(const Allowed& allowed) {
  NoRoute none{allowed.plain_text ? Response(405, kPlainText, "Method not allowed\n")
                                  : Response(405, kJson, with_error_id("Method not allowed"))};
  none.answer.add_header("Allow", allowed.list());
  return none;
}

}  // namespace

Task<Response> answer_now(Response response) {
  co_return response;
}

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    Segments segments;
    auto split_pattern = split(routes_[i].pattern, segments);
    if (!split_pattern) throw std::invalid_argument("not a route pattern: " + std::string(routes_[i].pattern));
    Pattern pattern{{split_pattern->begin(), split_pattern->end()}, 0, i};
    for (std::string_view& segment : pattern.segments) {
      if (segment.front() != '{' || segment.back() != '}') continue;
      segment = {};
      ++pattern.parameters;
    }
    patterns_.push_back(std::move(pattern));
  }
  std::ranges::stable_sort(patterns_, [](const Pattern& a, const Pattern& b) {
    return std::ranges::lexicographical_compare(a.segments, b.segments,
                                                [](auto left, auto right) { return !left.empty() && right.empty(); });
  });
}

std::variant<Match, NoRoute> Router::match(Method method, std::string_view target) const {
  auto parts = parse_target(target);
  if (!parts) return bad_request("Malformed request target");
  Segments storage;
  auto segments = split(parts->path, storage);
  Method wanted = method == Method::head ? Method::get : method;
  Allowed allowed;
  for (const Pattern& pattern : patterns_) {
    if (!segments || !fits(pattern.segments, *segments)) continue;
    const Route& route = routes_[pattern.route];
    if (route.method != wanted && route.method != method) {
      allowed.add(route);
      continue;
    }
    Match match{.route = &route, .params = {}, .path = parts->path, .query = parts->query};
    match.params.reserve(pattern.parameters);
    for (std::size_t i = 0; i < segments->size(); ++i) {
      if (!pattern.segments[i].empty()) continue;
      std::string& value = match.params.emplace_back(decode((*segments)[i]));
      if (value.find('/') != std::string::npos) match.bad_path = "Encoded slash (%2F) in the path";
      if (value.find('\0') != std::string::npos) match.bad_path = "Encoded NUL (%00) in the path";
    }
    return match;
  }
  if (allowed.any()) return method_not_allowed(allowed);
  return NoRoute{Response(404, kJson, with_error_id("Resource not found"))};
}

}  // namespace sharedlock::http
