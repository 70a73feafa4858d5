#pragma once

#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/task.h"
#include "client/alarms.h"
#include "client/schedule.h"
#include "client/url.h"
#include "sharedlock/client.h"

namespace sharedlock::client {

struct HttpRequest {
  std::string_view method;  // a literal
  std::string target;       // below the URL's path
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  bool acquires = false;  // ended by stop_acquiring()
};

struct HttpAnswer {
  int status = 0;
  std::string body;
  std::int64_t token = 0;  // X-Fencing-Token
  std::int64_t ttl = 0;    // X-Lease-TTL, seconds
  TimePoint sent;          // when the request began to be sent
};

// Requests to one server over connections that are kept. Each has a connection of its own while it is under way. To be
// used on its executor alone, where all requests must have ended before it is destroyed.
class HttpClient {
 public:
  // Throws Failure when the CA file can't be read. The alarms must outlive it.
  HttpClient(Executor executor, Alarms& alarms, const ClientOptions& options, Url url);
  ~HttpClient();

  // unavailable: no answer until then, or none that is HTTP and of sane size. A connection that was kept and proves
  // dead before a byte of the answer came is replaced once: what is sent does no harm when it is sent twice.
  Task<Result<HttpAnswer>> send(HttpRequest request, TimePoint until);

  // Ends what acquires and is under way, and what comes later.
  void stop_acquiring();

 private:
  class Connection;
  using ConnectionPtr = std::unique_ptr<Connection>;

  struct Exchange {
    HttpAnswer answer;
    std::string error;       // why there is no answer; empty: there is one
    bool untouched = false;  // the connection ended before a byte of the answer
    bool keep = false;       // the connection may be used again
  };

  ConnectionPtr take_idle();
  Task<std::string> connect(Connection* connection, TimePoint until);  // why not; empty: connected
  Task<Exchange> exchange(Connection* connection, const HttpRequest* request, TimePoint until);
  template <class Stream>
  Task<Exchange> exchange_on(Stream* stream, Connection* connection, const HttpRequest* request);

  const Executor executor_;
  Alarms& alarms_;
  const Url url_;
  const std::function<std::string()> token_;
  const std::chrono::milliseconds connect_timeout_;
  asio::ssl::context tls_;
  std::vector<ConnectionPtr> idle_;
  std::unordered_set<Connection*> acquiring_;
  bool stopped_ = false;
};

}  // namespace sharedlock::client
