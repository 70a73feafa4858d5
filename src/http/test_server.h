#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/io_threads.h"
#include "base/log.h"
#include "base/manual_clock.h"
#include "http/router.h"
#include "http/server.h"
#include "http/test_client.h"

namespace sharedlock::http {

// Polls `condition` for at most 10 s; false when it did not come true.
bool eventually(const std::function<bool()>& condition);

// A file in memory that a Log writes to.
class LogFile {
 public:
  LogFile();
  ~LogFile();
  int fd() const { return fd_; }
  std::string text() const;

 private:
  int fd_;
};

// State of the test routes' slow handler: it reports that it was entered and waits for the gate.
struct Gate {
  std::atomic<int> entered = 0;
  std::atomic<bool> open = false;
  std::atomic<int> disconnected = 0;  // how often GET /waiting heard of it
  std::atomic<int> undelivered = 0;   // how often it had to undo
  std::atomic<int> counted = 0;       // how often a route counted an answer
  std::atomic<int> last_status = 0;   // of the last that was counted
};

// GET /hello, GET /quiet, GET /health (for operators): 200 "hello" · GET /large-health (for operators): 6 MiB · POST
// /echo, POST /renew (for holders): 201 with the body · GET /slow-renew (for holders): as GET /slow · GET
// /v1/{a}/lock/{b}: "a|b|path|query" · GET /empty: 204 · GET /throw: an exception · POST /guarded, POST
// /v1/{a}/guarded: 401 without `X-Key`, 400 for the parameter "bad" or one with a slash, else 201 with the body · GET
// /slow: waits for the gate, then 200 "slow" · GET /waiting: the same, or until its caller disconnects · GET /large: 16
// MiB · GET /plain: plain text errors · GET /headers: as many header lines as came. /throw and /guarded count their
// answers.
std::vector<Route> test_routes(Gate& gate);

// A server with these routes on a free port of 127.0.0.1, two I/O threads and a clock that stands still.
struct TestServer {
  explicit TestServer(const std::function<void(ServerOptions&)>& change = {}, LogLevel level = LogLevel::error);
  ~TestServer();

  std::uint16_t port() const { return server.port(); }

  LogFile log_file;
  Log log;
  ManualClock clock;
  Gate gate;
  Router router;
  IoThreads threads;
  Server server;
};

}  // namespace sharedlock::http
