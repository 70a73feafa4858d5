#include "app/serve.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "app/app.h"
#include "app/end_signals.h"
#include "app/machine_limits.h"
#include "app/open_store.h"
#include "app/startup.h"
#include "app/version.h"
#include "config/names.h"
#include "config/value.h"

namespace sharedlock {

namespace {

using config::Settings;

// How long the parts of the server may take to end once the last request is answered: the disk may hang.
constexpr std::chrono::seconds kLastWrites{10};

// Longer than anybody waits, and short enough that now + this is a time.
constexpr std::chrono::nanoseconds kLongestWait = std::chrono::hours(24 * 365);

std::chrono::nanoseconds shutdown_time(const Settings& settings) {
  bool no_limit = settings.server_shutdown_timeout == std::chrono::nanoseconds(0);
  return no_limit ? kLongestWait : settings.server_shutdown_timeout;
}

// The time in which load balancers see that this server is not ready, while it still serves.
void serve_on(App& app, const Settings& settings, Log& log) {
  app.announce_end();
  std::chrono::nanoseconds delay = std::min(settings.server_drain_delay, kLongestWait);
  if (delay == std::chrono::nanoseconds(0)) return;
  log.note("not ready", {{"seconds", std::chrono::duration<double>(delay).count()}});
  std::this_thread::sleep_for(delay);
}

int cannot_start(const Error& error) {
  std::fprintf(stderr, "shared-lock: %s\n", error.message.c_str());
  return 1;
}

void log_start(const Settings& settings, std::uint16_t port, Log& log) {
  std::string storage = config::value_text(*config::find_by_flag("storage"), settings);
  log.note("serving", {{"address", settings.server_address.empty() ? "*" : settings.server_address},
                       {"port", std::int64_t{port}},
                       {"storage", storage},
                       {"connections", static_cast<std::int64_t>(settings.max_connections)},
                       {"version", kVersion}});
}

}  // namespace

int serve(const config::LoadedSettings& loaded) {
  if (auto reason = refusal(loaded.settings)) {
    std::fprintf(stderr, "shared-lock: %s\n", reason->c_str());
    return 2;
  }
  ::umask(S_IRWXG | S_IRWXO);  // the data directory holds lease ids, which are as good as passwords
  EndSignals signals;
  Log log(loaded.settings.log_level);
  for (const std::string& warning : loaded.warnings) log.write(LogLevel::warn, warning);
  const Settings settings = fitted_to_machine(loaded.settings, log);
  bool drained = false;
  {
    SystemClock clock;
    auto store = open_store(loaded, clock, log);
    if (!store) {
      cannot_start(store.error());
      return store.error().code == Errc::invalid_argument ? 2 : 1;  // 2: a setting can't be right
    }
    App app(settings, *std::move(store), clock, log);
    if (auto started = app.start(); !started) return cannot_start(started.error());
    signals.serving();
    log_start(settings, app.port(), log);

    int signal = signals.wait();
    serve_on(app, settings, log);
    log.note("draining", {{"signal", std::int64_t{signal}}});
    drained = app.drain(shutdown_time(settings));
    signals.give_up_after(kLastWrites);
  }
  log.note(drained ? "stopped" : "stopped with requests still under way");
  return drained ? 0 : 1;
}

}  // namespace sharedlock
