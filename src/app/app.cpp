#include "app/app.h"

#include <iterator>
#include <utility>

#include "base/cpus.h"

namespace sharedlock {

namespace {

using config::Settings;

std::size_t thread_count(const Settings& settings) {
  return settings.server_threads > 0 ? settings.server_threads : available_cpus();
}

LockServiceOptions lock_options(const Settings& settings) {
  return {.key_prefix = settings.key_prefix,
          .max_retries = static_cast<int>(settings.max_retries),
          .request_timeout = settings.etcd_request_timeout};
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
  return options;
}

}  // namespace

App::App(const Settings& settings, std::unique_ptr<LeaseStore> store, Clock& clock, Log& log)
    : store_(std::move(store)),
      threads_(thread_count(settings)),
      locks_(lock_options(settings), *store_, clock, log),
      leases_({.request_timeout = settings.etcd_request_timeout}, *store_, clock, log),
      access_({.authentication_disabled = settings.authentication_disabled}),
      lock_api_(locks_, access_, log),
      lease_api_(lease_api_options(settings), leases_, access_, lease_metrics_, clock, log),
      ops_api_(leases_, lease_metrics_),
      router_(all_routes()),
      server_(server_options(settings), router_, threads_, clock, log) {}

App::~App() = default;

std::vector<http::Route> App::all_routes() {
  std::vector<http::Route> all;
  for (auto routes : {lease_api_.routes(), lock_api_.routes(), ops_api_.routes()}) {
    std::move(routes.begin(), routes.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace sharedlock
