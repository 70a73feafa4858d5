#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/bench_command.h"
#include "app/command_line.h"
#include "app/health.h"
#include "app/profiler_restart.h"
#include "app/serve.h"
#include "app/store_command.h"
#include "app/version.h"
#include "base/crash_report.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "config/config_page.h"

namespace sharedlock {
namespace {

constexpr int kSettingsError = 2;
const std::string kTitle = "shared-lock " + std::string(kVersion);

int run_server(const SettingsFlags& given, char** argv) {
  config::LoadedSettings loaded = load_settings(given);
  if (!report_errors(loaded)) return kSettingsError;
  if (loaded.settings.pprof_enabled) restart_with_profiler(argv);
  return serve(loaded);
}

int print_settings(const SettingsFlags& given, bool markdown) {
  if (markdown) {
    std::fputs(config::markdown_page().c_str(), stdout);
    return 0;
  }
  config::LoadedSettings loaded = load_settings(given);
  if (!report_errors(loaded)) return kSettingsError;
  for (const std::string& warning : loaded.warnings) std::fprintf(stderr, "shared-lock: %s\n", warning.c_str());
  std::fputs(config::effective_settings(loaded).c_str(), stdout);
  return 0;
}

// Docker knows no exit codes of a health check but 0 and 1.
int ask_health(const SettingsFlags& given) {
  config::LoadedSettings loaded = load_settings(given);
  return report_errors(loaded) ? health(loaded.settings) : 1;
}

int accept_store(const SettingsFlags& given) {
  config::LoadedSettings loaded = load_settings(given);
  return report_errors(loaded) ? accept_loss(loaded) : kSettingsError;
}

int print_version() {
  std::puts(kTitle.c_str());
  return 0;
}

// Otherwise the next opened files and sockets would take the place of closed standard streams, and printed output would
// go there.
void hold_standard_streams() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

// A command for running a server, with the flags of all settings.
Command settings_command(const char* name, const char* help, std::function<int(const SettingsFlags&)> run) {
  auto given = std::make_shared<SettingsFlags>();
  return {.name = name,
          .help = help,
          .flags = settings_flags(*given),
          .run = [given, run = std::move(run)] { return run(*given); },
          .usage_error = kSettingsError};
}

Command config_command() {
  auto markdown = std::make_shared<bool>(false);
  Command command =
      settings_command("config", "Print the settings as serve would see them, and where each comes from.",
                       [markdown](const SettingsFlags& given) { return print_settings(given, *markdown); });
  command.flags.push_back(
      {.name = "--markdown", .help = "Print the page that describes all settings instead.", .target = markdown.get()});
  return command;
}

Command store_commands() {
  Command store{.name = "store", .help = "What an operator says about what is stored."};
  store.commands = {settings_command(
      "accept",
      "Accept what etcd holds, after it was wiped or restored: the servers give up what it has forgotten, and serve.",
      accept_store)};
  return store;
}

int run(int argc, char** argv) {
  // Hides the command of `run` from the parser, which splits "[a,b]".
  char** all = argv + argc;
  char** end = argc > 1 && std::string("run") == argv[1] ? std::find(argv, all, std::string("--")) : all;
  std::vector<std::string> words(std::min(end + 1, all), all);

  Command program{.name = "shared-lock", .help = "A distributed lock service over HTTP."};
  program.flags = {
      {.name = "--version", .help = "Display program version information and exit", .target = Version{kTitle}}};
  program.commands = {
      settings_command("serve", "Run the server.",
                       [argv](const SettingsFlags& given) { return run_server(given, argv); }),
      config_command(),
      settings_command("health", "Ask the server on this machine whether it is ready: exit code 0 or 1.", ask_health),
      store_commands(),
      run_command(std::move(words)),
      acquire_command(),
      renew_command(),
      release_command(),
      get_command(),
      verify_command(),
      force_release_command(),
      lease_commands(),
      bench_command(),
      completion_command(program),
      man_command(program, kTitle),
      {.name = "version", .help = "Print the version.", .run = print_version},
  };
  return run_command_line(program, static_cast<int>(end - argv), argv);
}

}  // namespace
}  // namespace sharedlock

int main(int argc, char** argv) {
  sharedlock::hold_standard_streams();
  sharedlock::report_crashes(sharedlock::CrashLine::text);
  try {
    return sharedlock::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "shared-lock: %s\n", error.what());
    return 1;
  }
}
