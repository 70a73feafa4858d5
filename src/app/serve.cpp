#include "app/serve.h"

#include <sys/resource.h>

#include <cstdio>

#include "app/app.h"
#include "app/end_signals.h"
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

// Each connection needs a descriptor, and the usual soft limit of 1024 is for programs that use select().
void raise_file_limit(Log& log) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) log.write(LogLevel::warn, "can't raise the limit of open files");
}

std::chrono::nanoseconds shutdown_time(const Settings& settings) {
  bool no_limit = settings.server_shutdown_timeout == std::chrono::nanoseconds(0);
  return no_limit ? std::chrono::hours(24 * 365) : settings.server_shutdown_timeout;
}

int cannot_start(const Error& error) {
  std::fprintf(stderr, "shared-lock: %s\n", error.message.c_str());
  return 1;
}

void log_start(const config::LoadedSettings& loaded, std::uint16_t port, Log& log) {
  const Settings& settings = loaded.settings;
  std::string storage = config::value_text(*config::find_by_flag("storage"), settings);
  for (const std::string& warning : loaded.warnings) log.write(LogLevel::warn, warning);
  log.note("serving", {{"address", settings.server_address.empty() ? "*" : settings.server_address},
                       {"port", std::int64_t{port}},
                       {"storage", storage},
                       {"version", kVersion}});
}

}  // namespace

int serve(const config::LoadedSettings& loaded) {
  const Settings& settings = loaded.settings;
  if (auto reason = refusal(settings)) {
    std::fprintf(stderr, "shared-lock: %s\n", reason->c_str());
    return 2;
  }
  EndSignals signals;
  Log log(settings.log_level);
  raise_file_limit(log);
  bool drained = false;
  {
    SystemClock clock;
    auto store = open_store(settings, clock, log);
    if (!store) return cannot_start(store.error());
    App app(settings, *std::move(store), clock, log);
    if (auto started = app.start(); !started) return cannot_start(started.error());
    signals.serving();
    log_start(loaded, app.port(), log);

    int signal = signals.wait();
    log.note("draining", {{"signal", std::int64_t{signal}}});
    drained = app.drain(shutdown_time(settings));
    signals.give_up_after(kLastWrites);
  }
  log.note(drained ? "stopped" : "stopped with requests still under way");
  return drained ? 0 : 1;
}

}  // namespace sharedlock
