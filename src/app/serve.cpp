#include "app/serve.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "app/app.h"
#include "app/end_signals.h"
#include "app/machine_limits.h"
#include "app/open_store.h"
#include "app/startup.h"
#include "app/version.h"
#include "base/crash_report.h"
#include "config/names.h"
#include "config/value.h"

namespace sharedlock {

namespace {

using config::Settings;

// How long the parts of the server may take to end after the last request is answered: the disk or etcd may hang.
constexpr std::chrono::seconds kLastWrites{10};

// How long requests may take to end when the parts of the server are recreated: all of them are refused.
constexpr std::chrono::seconds kAnew{2};

// Longer than any wait, and short enough that now + this is a valid time.
constexpr std::chrono::nanoseconds kLongestWait = std::chrono::hours(24 * 365);

std::chrono::nanoseconds shutdown_time(const Settings& settings) {
  bool no_limit = settings.server_shutdown_timeout == std::chrono::nanoseconds(0);
  return no_limit ? kLongestWait : settings.server_shutdown_timeout;
}

// Gives load balancers time to see that this server is not ready, while it still serves.
void serve_on(App& app, const Settings& settings, Log& log) {
  app.announce_end();
  std::chrono::nanoseconds delay = std::min(settings.server_drain_delay, kLongestWait);
  if (delay == std::chrono::nanoseconds(0)) return;
  log.note("not ready", {{"seconds", std::chrono::duration<double>(delay).count()}});
  std::this_thread::sleep_for(delay);
}

// Why the shutdown takes longer than that.
std::string what_hangs(config::StorageType storage) {
  switch (storage) {
    case config::StorageType::embedded:
      return "the disk does not answer; what is not written was acknowledged to nobody";
    case config::StorageType::etcd:
      return "etcd does not answer; what it has not confirmed was acknowledged to nobody";
    case config::StorageType::memory:
      break;
  }
  return "the server does not come to its end";
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
                       {"waiters", static_cast<std::int64_t>(settings.max_waiters)},
                       {"version", kVersion}});
}

struct Ended {
  std::optional<int> exit_code;  // set if it could not start
  std::optional<int> signal;
  bool drained = false;
};

// Serves until a signal, or until the store asks for a new store (R32). The bound port stays the same.
Ended serve_once(const config::LoadedSettings& loaded, Settings& settings, EndSignals& signals, Log& log) {
  SystemClock clock;
  std::atomic<bool> refuses = false;
  std::atomic<bool> anew = false;
  auto wake_with = [&signals](std::atomic<bool>& reason) {
    return [&signals, &reason] {
      reason = true;
      signals.wake();
    };
  };
  EtcdLossHandler when_lost{.refuses = wake_with(refuses), .begin_anew = wake_with(anew)};
  auto store = open_store(loaded, clock, log, std::move(when_lost));
  if (!store) {
    cannot_start(store.error());
    int code = store.error().code == Errc::invalid_argument ? 2 : 1;  // 2: a setting can't be right
    return {.exit_code = code, .signal = {}, .drained = false};
  }
  App app(settings, *std::move(store), clock, log);
  if (auto started = app.start(); !started) {
    return {.exit_code = cannot_start(started.error()), .signal = {}, .drained = false};
  }
  signals.serving();
  settings.server_port = app.port();
  log_start(settings, app.port(), log);

  std::optional<int> signal = signals.wait();
  while (!signal && !anew) {
    if (refuses) app.end_waits(WaitEnd::store_lost);  // else the wake was meant for the previous parts
    signal = signals.wait();
  }
  if (!signal) {
    app.end_waits(WaitEnd::store_lost);
    app.drain(kAnew);
    return {};
  }
  serve_on(app, settings, log);
  log.note("draining", {{"signal", std::int64_t{*signal}}});
  bool drained = app.drain(shutdown_time(settings));
  signals.give_up_after(kLastWrites, what_hangs(settings.storage_type));
  return {.exit_code = {}, .signal = signal, .drained = drained};
}

}  // namespace

int serve(const config::LoadedSettings& loaded) {
  if (auto reason = refusal(loaded.settings)) {
    std::fprintf(stderr, "shared-lock: %s\n", reason->c_str());
    return 2;
  }
  report_crashes(CrashLine::json);
  ::umask(S_IRWXG | S_IRWXO);  // the data directory holds lease ids, which are as good as passwords
  EndSignals signals;
  Log log(loaded.settings.log_level);
  for (const std::string& warning : loaded.warnings) log.write(LogLevel::warn, warning);
  Settings settings = fitted_to_machine(loaded.settings, log);
  Ended ended;
  while (!ended.signal && !ended.exit_code) ended = serve_once(loaded, settings, signals, log);
  if (ended.exit_code) return *ended.exit_code;
  log.note(ended.drained ? "stopped" : "stopped with requests still under way");
  return ended.drained ? 0 : 1;
}

}  // namespace sharedlock
