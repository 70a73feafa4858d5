#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/router.h"
#include "telemetry/profiler.h"
#include "telemetry/symbols.h"

namespace sharedlock {

// Profiles of this process for google-pprof, below /debug/pprof/: an index, profile?seconds=N (CPU; 1 to 300, by
// default 30), heap, cmdline and symbol. Only for programs on this machine, which call it localhost or by a loopback
// address: 403 for others, for requests forwarded by a proxy on it, and for pages of other sites in a browser on it.
// 501 if the profiler is not loaded. A CPU profile covers the whole process, so there is one at a time: 409 for a
// second. It runs to its end, even if its client has gone, and is not counted among the requests in flight.
// Thread-safe. Must outlive its routes.
class PprofApi {
 public:
  std::vector<http::Route> routes();

  // Ends a CPU profile in progress within 100 ms, with 503, and every later one.
  void stop() { stopping_ = true; }

 private:
  Task<http::Response> index(const http::Request& request);
  Task<http::Response> profile(const http::Request& request);
  Task<http::Response> heap(const http::Request& request);
  Task<http::Response> command_line(const http::Request& request);
  Task<http::Response> symbol(const http::Request& request);
  Task<http::Response> take_profile(std::chrono::seconds length, std::shared_ptr<const bool> gone);

  Profiler profiler_;
  const Symbols symbols_;
  std::atomic<bool> busy_ = false;
  std::atomic<bool> stopping_ = false;
};

// The value of `seconds` in the query; 30 if absent. Nothing when it is not a number from 1 to 300.
std::optional<std::chrono::seconds> profile_length(std::string_view query);

}  // namespace sharedlock
