#include "app/app.h"

#include <iterator>
#include <utility>

#include "api/process_metrics.h"

namespace sharedlock {

namespace {

using config::Settings;

LockServiceOptions lock_options(const Settings& settings) {
  return {.key_prefix = settings.key_prefix,
          .max_retries = static_cast<int>(settings.max_retries),
          .request_timeout = settings.etcd_request_timeout};
}

// The other stores refuse from memory anyway.
LeaseServiceOptions lease_options(const Settings& settings) {
  bool cached = settings.cache_enabled && settings.storage_type == config::StorageType::etcd;
  return {.request_timeout = settings.etcd_request_timeout,
          .cache_size = cached ? static_cast<std::size_t>(settings.cache_size) : 0};
}

LeaseApiOptions lease_api_options(const Settings& settings) {
  return {.largest_ttl = settings.max_lease_ttl, .expose_holder_lease_id = settings.expose_holder_lease_id};
}

http::ServerOptions server_options(const Settings& settings) {
  http::ServerOptions options;
  options.address = settings.server_address;
  options.port = settings.server_port;
  options.read_timeout = settings.server_read_timeout;
  options.write_timeout = settings.server_write_timeout;
  options.idle_timeout = settings.server_idle_timeout;
  options.max_connections = settings.max_connections;
  options.max_connections_per_address = settings.max_connections_per_address;
  options.max_requests_in_flight = settings.max_requests_in_flight;
  options.max_buffered_bytes = settings.max_buffered_bytes;
  options.trusted_proxies = http::Networks(settings.trusted_proxies);
  options.exempt_addresses = http::Networks({"127.0.0.0/8", "::1"});
  return options;
}

}  // namespace

App::App(const Settings& settings, std::unique_ptr<LeaseStore> store, Clock& clock, Log& log)
    : store_(std::move(store)),
      threads_(settings.server_threads),
      locks_(lock_options(settings), *store_, clock, log),
      lock_sets_(locks_),
      leases_(lease_options(settings), *store_, clock, log),
      waiters_(settings.max_waiters),
      access_({.authentication_disabled = settings.authentication_disabled,
               .admin_token = settings.admin_token,
               .allowed_origins = settings.allowed_origins}),
      lock_api_(locks_, lock_sets_, access_, waiters_, lock_metrics_, log, settings.strict_compatibility),
      lease_api_(lease_api_options(settings), leases_, access_, waiters_, lease_metrics_, clock, log),
      ops_api_(leases_, metrics_sources()),
      pprof_api_(settings.pprof_enabled ? std::make_unique<PprofApi>() : nullptr),
      router_(all_routes()),
      server_(server_options(settings), router_, threads_, clock, log) {}

App::~App() {
  if (pprof_api_) pprof_api_->stop();
}

void App::end_waits(WaitEnd why) {
  locks_.drain(why);
  leases_.drain(why);
}

bool App::drain(std::chrono::nanoseconds within) {
  if (pprof_api_) pprof_api_->stop();
  end_waits(WaitEnd::draining);
  return server_.drain(within);
}

std::vector<MetricsSource> App::metrics_sources() {
  return {
      [this](MetricsText& text) { write_process_metrics(text, process_stats_.read()); },
      [this](MetricsText& text) { server_.write_metrics(text); },
      [this](MetricsText& text) { lease_metrics_.write(text, leases_.cache_counts()); },
      [this](MetricsText& text) { lock_metrics_.write(text, locks_.clock_skew(), locks_.waiters()); },
  };
}

std::vector<http::Route> App::all_routes() {
  std::vector<http::Route> all;
  auto profiles = pprof_api_ ? pprof_api_->routes() : std::vector<http::Route>();
  for (auto routes : {lease_api_.routes(), lock_api_.routes(), ops_api_.routes(), profiles}) {
    std::move(routes.begin(), routes.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace sharedlock
