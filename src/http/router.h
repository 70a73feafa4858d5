#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/task.h"
#include "http/message.h"

namespace sharedlock::http {

// Answers a request. The Request outlives the coroutine: the session owns it and awaits directly.
using Handler = std::function<Task<Response>(const Request&)>;

// Counts the answers of a handler by their status: called with each before it is sent. Not called for answers from
// elsewhere, or if the handler threw. A hook, since a coroutine around the handler would be one more frame for as long
// as a client waits.
using Count = std::function<void(int status)>;

// Checks a request before its body is read; an answer (401, 403, 400 for the path) ends it. Its parameters may still
// hold a slash or a NUL, which no handler sees. Must not block.
using Admit = std::function<std::optional<Response>(const Request&)>;

// The kind of client that a route serves. Each kind has its own limit of requests in flight, so that clients that want
// a lock or wait for one can't keep out those that hold one (R36).
enum class Priority {
  newcomers,  // everybody
  holders,    // renewals, releases, and other work on a lock that is held
  operators,  // health checks, metrics, profiles: no limit
};

// One line of the route table.
struct Route {
  Method method;
  std::string_view pattern;  // a literal such as "/v1/{namespace}/lock/{lockName}"; {…} stands for one whole segment,
                             // and a slash at the end for itself
  Handler handler;
  Admit admit = {};         // none: everything is admitted
  bool plain_text = false;  // 405 on this path is plain text instead of JSON
  bool quiet = false;       // not worth a log line each time (health checks, metrics)
  Priority priority = Priority::newcomers;
  Count count = {};  // none: counted with all answers only (http_metrics.h)
};

inline Route for_holders(Route route) {
  route.priority = Priority::holders;
  return route;
}

// No route has that path (404) and method (405), or the target can't be read (400).
struct NoRoute {
  Response answer;
};

// The decoded parameters of a path, in the pattern's order. They live as long as the target, and while this object
// stays where it is; its memory is used again for the next path.
struct PathParams {
  std::vector<std::string_view> values;  // parts of the target, or of `decoded`
  std::string decoded;                   // the values that were encoded, one after another
};

struct Match {
  const Route* route;     // lives as long as the Router
  std::string_view path;  // these two are parts of the target, still percent-encoded
  std::string_view query;
  std::string_view bad_path = {};  // why a parameter can't be served, a literal: 400, after 401 and 403
};

// The route table. Paths are matched on their percent-encoded segments, and each parameter is decoded separately, so an
// encoded slash never becomes a separator. Immutable after construction, so safe to use from every thread.
class Router {
 public:
  explicit Router(std::vector<Route> routes);

  // `target` as in the request line: origin form, or absolute form (scheme and host are ignored). HEAD is served by the
  // route for GET. Answers by itself: a malformed target or percent-encoding: 400; no such path (or one with an empty
  // segment): 404; a path that has other methods: 405 with Allow. The caller must refuse an encoded slash or NUL in a
  // parameter, see Match::bad_path, since 401 and 403 come before it. If two patterns fit, a literal segment is
  // preferred to a parameter. What `params` held is replaced, in any case.
  std::variant<Match, NoRoute> match(Method method, std::string_view target, PathParams& params) const;

  // The table, in its original order; Match::route points into it.
  std::span<const Route> routes() const { return routes_; }

 private:
  struct Pattern {
    std::vector<std::string_view> segments;  // empty stands for a parameter
    Method method;
    std::size_t route;
  };

  const Pattern* find(Method method, std::span<const std::string_view> segments) const;
  NoRoute no_route(std::span<const std::string_view> segments) const;

  std::vector<Route> routes_;
  std::vector<std::vector<Pattern>> patterns_;  // by their number of segments; of one number, the more literal first
};

}  // namespace sharedlock::http
