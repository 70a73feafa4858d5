#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/io_threads.h"
#include "base/log.h"
#include "base/result.h"
#include "http/router.h"
#include "http/server_options.h"
#include "telemetry/metrics_text.h"

namespace sharedlock::http {

// An HTTP/1.1 server: one acceptor deals connections to the I/O threads in turn; a session stays on its thread.
// Timeouts use the Clock and are checked a few times a second, so they fire up to 100 ms late. Thread-safe. Must be
// destroyed before the IoThreads, the Router, the Clock and the Log that it uses.
class Server {
 public:
  Server(ServerOptions options, const Router& router, IoThreads& threads, Clock& clock, Log& log);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();  // stop()

  // Binds and listens; from then on requests are served. On failure (in use, not ours, no permission) invalid_argument
  // with a sentence that names the address. Binds without SO_REUSEPORT, with which a second server could share the port
  // unnoticed.
  Result<void> start();

  // The bound port, after start().
  std::uint16_t port() const;

  // From now on every answer says `Connection: close`, so that clients go elsewhere in time; everything else continues
  // as before, until the drain. Returns at once.
  void close_after_answers();

  // Ends gracefully: existing connections, even those still in the kernel's queue, are served, and no others. Requests
  // in progress are answered with `Connection: close`; connections that are idle after a request are closed; those
  // without a request so far get 1 s, at most half of `within`, to send it; slow requests and slowly read answers get
  // half of `within` (408). Returns true when everything is answered and the answered connections are closed, for which
  // they get half a second; false when `within` passed before the last answer.
  bool drain(std::chrono::nanoseconds within);

  // Closes every connection at once, and returns when all sessions have ended. Idempotent.
  void stop();

  // Open connections now, without those beyond the limits.
  std::size_t connections() const;

  // Adds open connections, and the answered requests (http_metrics.h).
  void write_metrics(MetricsText& text) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sharedlock::http
