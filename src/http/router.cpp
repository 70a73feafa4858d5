#include "http/router.h"

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <utility>

#include "base/random.h"
#include "http/target.h"

namespace sharedlock::http {

namespace {

// No pattern of ours is longer; a longer path fits none.
constexpr std::size_t kMaxSegments = 8;

// How a trailing slash is represented as a segment: no other segment can hold a slash.
constexpr std::string_view kTrailingSlash = "/";

// A path, taken apart at its slashes. The root has no segments.
class Segments {
 public:
  // In one pass over the bytes.
  explicit Segments(std::string_view path) {
    if (!path.starts_with('/')) {
      is_plain_ = is_path_ = false;
    } else if (path.size() > 1) {
      split(path);
    }
  }

  // False when there are too many, or an empty one: "//" is not a valid path here.
  bool is_path() const { return is_path_; }

  // Whether there is nothing to decode, and nothing that a path may not hold: unreserved bytes and slashes alone.
  bool is_plain() const { return is_plain_; }

  std::span<const std::string_view> all() const { return std::span(segments_).first(count_); }

 private:
  void split(std::string_view path) {
    std::size_t from = 1;
    for (std::size_t i = 1; i < path.size(); ++i) {
      if (is_unreserved(path[i])) continue;
      if (path[i] != '/') {
        is_plain_ = false;
        continue;
      }
      add(path.substr(from, i - from));
      from = i + 1;
    }
    add(from == path.size() ? kTrailingSlash : path.substr(from));
  }

  void add(std::string_view segment) {
    if (segment.empty() || count_ == kMaxSegments) {
      is_path_ = false;
    } else {
      segments_[count_++] = segment;
    }
  }

  std::array<std::string_view, kMaxSegments> segments_;
  std::size_t count_ = 0;
  bool is_path_ = true;
  bool is_plain_ = true;
};

// Both have the same number of segments. From the end, since there the patterns of one number differ most.
bool fits(std::span<const std::string_view> pattern, std::span<const std::string_view> segments) {
  for (std::size_t i = pattern.size(); i-- > 0;) {
    bool fits_here = pattern[i].empty() ? segments[i] != kTrailingSlash : segments[i] == pattern[i];
    if (!fits_here) return false;
  }
  return true;
}

// Decodes those values that are encoded; `path` is where they come from. Says what is wrong with one, if anything is.
std::string_view decode_values(PathParams& params, std::string_view path) {
  std::string_view bad;
  params.decoded.reserve(path.size());  // enough for all, so that it does not move under the values
  for (std::string_view& value : params.values) {
    if (value.find('%') == std::string_view::npos) continue;
    std::size_t begin = params.decoded.size();
    params.decoded += decode(value);
    value = std::string_view(params.decoded).substr(begin);
    if (value.find('/') != std::string_view::npos) bad = "Encoded slash (%2F) in the path";
    if (value.find('\0') != std::string_view::npos) bad = "Encoded NUL (%00) in the path";
  }
  return bad;
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

NoRoute not_found() {
  return {Response(404, kJson, with_error_id("Resource not found"))};
}

NoRoute method_not_allowed(const Allowed& allowed) {
  NoRoute none{allowed.plain_text ? Response(405, kPlainText, "Method not allowed\n")
                                  : Response(405, kJson, with_error_id("Method not allowed"))};
  none.answer.add_header("Allow", allowed.list());
  return none;
}

}  // namespace

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const Route& route = routes_[i];
    Segments path(route.pattern);
    if (!path.is_path()) throw std::invalid_argument("not a route pattern: " + std::string(route.pattern));
    auto segments = path.all();
    Pattern pattern{{segments.begin(), segments.end()}, route.method, i};
    for (std::string_view& segment : pattern.segments) {
      if (segment.front() == '{' && segment.back() == '}') segment = {};
    }
    if (patterns_.size() <= segments.size()) patterns_.resize(segments.size() + 1);
    patterns_[segments.size()].push_back(std::move(pattern));
  }
  for (auto& of_one_number : patterns_) {
    std::ranges::stable_sort(of_one_number, [](const Pattern& a, const Pattern& b) {
      return std::ranges::lexicographical_compare(a.segments, b.segments,
                                                  [](auto left, auto right) { return !left.empty() && right.empty(); });
    });
  }
}

std::variant<Match, NoRoute> Router::match(Method method, std::string_view target, PathParams& params) const {
  params.values.clear();
  params.decoded.clear();
  Target parts{target, {}};
  Segments path(target);
  // Nearly every path that we serve consists of letters, digits and dashes, without a query.
  if (!path.is_plain()) {
    auto parsed = parse_target(target);
    if (!parsed) return bad_request("Malformed request target");
    parts = *parsed;
    path = Segments(parts.path);
  }
  auto segments = path.all();
  if (!path.is_path() || segments.size() >= patterns_.size()) return not_found();
  const Pattern* pattern = find(method, segments);
  if (pattern == nullptr) return no_route(segments);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (pattern->segments[i].empty()) params.values.push_back(segments[i]);
  }
  Match match{.route = &routes_[pattern->route], .path = parts.path, .query = parts.query};
  if (!path.is_plain()) match.bad_path = decode_values(params, parts.path);
  return match;
}

// The pattern that serves that method and fits.
const Router::Pattern* Router::find(Method method, std::span<const std::string_view> segments) const {
  for (const Pattern& pattern : patterns_[segments.size()]) {
    bool serves = pattern.method == method || (method == Method::head && pattern.method == Method::get);
    if (serves && fits(pattern.segments, segments)) return &pattern;
  }
  return nullptr;
}

// When there is none.
NoRoute Router::no_route(std::span<const std::string_view> segments) const {
  Allowed allowed;
  for (const Pattern& pattern : patterns_[segments.size()]) {
    if (fits(pattern.segments, segments)) allowed.add(routes_[pattern.route]);
  }
  return allowed.any() ? method_not_allowed(allowed) : not_found();
}

}  // namespace sharedlock::http
