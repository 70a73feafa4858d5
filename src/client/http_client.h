#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/task.h"
#include "client/alarms.h"
#include "client/connector.h"
#include "client/schedule.h"
#include "client/url.h"
#include "sharedlock/client.h"

namespace sharedlock::client {

// What is known about a request when no answer tells it.
struct HttpTrace {
  std::optional<TimePoint> sent;  // when it began to be sent; nothing: there was no connection
  bool closed = false;            // the other side closed the connection, or it broke
};

struct HttpRequest {
  std::string_view method;  // a literal
  std::string target;       // below the URL's path
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool acquires = false;          // ended by stop_acquiring()
  std::chrono::seconds waits{0};  // how long the server may take beyond the usual time
  HttpTrace* trace = nullptr;     // receives what is known; must outlive the call
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::int64_t token = 0;  // X-Fencing-Token
  std::int64_t ttl = 0;    // X-Lease-TTL of a lease, X-Lock-Ttl of a lock, seconds
  std::string location;    // Location: where a redirect leads
  bool later = false;      // has a Retry-After
  TimePoint sent;          // when the request began to be sent
};

// Requests to one server over persistent connections. Each has a connection of its own while in progress. Use it only
// on its executor; all requests must have ended before it is destroyed.
class HttpClient {
 public:
  // Throws Failure when the CA file can't be read. The alarms must outlive it.
  HttpClient(Executor executor, Alarms& alarms, const ClientOptions& options, Url url);
  ~HttpClient();

  // unavailable: no answer until then, or none that is HTTP and of sane size. A kept connection that proves dead before
  // the request was sent, or before a byte of the answer came, is replaced once: every request may safely be sent
  // twice. A request that waits has the usual time for its answer once its waiting is over, counted from when it is
  // sent.
  Task<Result<HttpAnswer>> send(HttpRequest request, TimePoint until);

  // Ends acquiring requests in progress, and later ones.
  void stop_acquiring();
  // From now on everything ends by then, and nothing begins afterwards.
  void end_by(TimePoint last);
  // Call it when no request is in progress any more: gives up connections in the making. join(): waits until that has
  // ended; not on the executor.
  void stop() { connector_.stop(); }
  void join() { connector_.join(); }

 private:
  class Ongoing;

  struct Exchange {
    HttpAnswer answer;
    std::string error;       // why there is no answer; empty: there is one
    bool untouched = false;  // the connection ended before a byte of the answer
    bool unsent = false;     // it broke before the whole request was sent
    bool keep = false;       // the connection may be used again
  };

  std::string why_not(const HttpRequest& request) const;  // why it is not sent; empty: it is
  Task<ConnectionPtr> connect(Ongoing* ongoing, TimePoint until, std::string* error);
  Task<Exchange> exchange(Connection* connection, const HttpRequest* request, TimePoint until);
  template <class Stream>
  Task<Exchange> exchange_on(Stream* stream, Connection* connection, const HttpRequest* request);
  Error no_answer(const std::string& why) const;

  const Executor executor_;
  Alarms& alarms_;
  const Url url_;
  const std::function<std::string()> token_;
  const std::chrono::milliseconds answer_timeout_;
  Connector connector_;
  std::unordered_set<Ongoing*> ongoing_;
  bool stopped_ = false;
  TimePoint last_ = TimePoint::max();
};

}  // namespace sharedlock::client
