#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "api/access.h"
#include "api/lease_api.h"
#include "api/lease_metrics.h"
#include "api/lock_api.h"
#include "api/lock_metrics.h"
#include "api/ops_api.h"
#include "api/pprof_api.h"
#include "base/capacity.h"
#include "base/clock.h"
#include "base/io_threads.h"
#include "base/log.h"
#include "base/result.h"
#include "config/settings.h"
#include "http/router.h"
#include "http/server.h"
#include "lease/lease_service.h"
#include "lock/lock_service.h"
#include "lock/lock_set_service.h"
#include "store/lease_store.h"
#include "telemetry/process_stats.h"

namespace sharedlock {

// The whole server: every part by value, each after the parts that it needs, so that destruction is the reverse. No
// part knows the App: each gets just what it uses.
class App {
 public:
  // `settings` must have passed refusal() of startup.h and come from fitted_to_machine(). The clock and the log must
  // outlive it.
  App(const config::Settings& settings, std::unique_ptr<LeaseStore> store, Clock& clock, Log& log);
  ~App();  // closes open connections

  // Binds and serves; see Server::start().
  Result<void> start() { return server_.start(); }

  // The port that is bound.
  std::uint16_t port() const { return server_.port(); }

  // Everything is served as before, except that /ready says no, and every answer says `Connection: close`.
  void announce_end() {
    ops_api_.announce_end();
    server_.close_after_answers();
  }

  // Ends all waits in queues: they are answered with the reason, draining or store_lost, and asked to try again later.
  void end_waits(WaitEnd why);

  // Takes no new connections and ends when the requests in progress are answered; false if `within` passed first.
  bool drain(std::chrono::nanoseconds within);

 private:
  std::vector<http::Route> all_routes();
  std::vector<MetricsSource> metrics_sources();

  std::unique_ptr<LeaseStore> store_;
  IoThreads threads_;
  LockService locks_;
  LockSetService lock_sets_;
  LeaseService leases_;
  Capacity waiters_;
  Access access_;
  LeaseMetrics lease_metrics_;
  LockMetrics lock_metrics_;
  ProcessStatsReader process_stats_;
  LockApi lock_api_;
  LeaseApi lease_api_;
  OpsApi ops_api_;
  std::unique_ptr<PprofApi> pprof_api_;  // only where profiles are enabled
  http::Router router_;
  http::Server server_;
};

}  // namespace sharedlock
