#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iterator>
#include <string>
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
#include "cli/exit_codes.h"
#include "config/config_page.h"

namespace sharedlock {
namespace {

constexpr int kSettingsError = 2;
const std::string kTitle = "shared-lock " + std::string(kVersion);

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

int print_version() {
  std::puts(kTitle.c_str());
  return 0;
}

// Standard streams that were closed would be taken by the next files and sockets to be opened, and what is printed
// would go there.
void hold_standard_streams() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

// The commands for running a server. They live as long as the program.
class ServerCommands {
 public:
  ServerCommands(CLI::App& program, char** argv) : argv_(argv) {
    add(program, "serve", "Run the server.", &ServerCommands::run_server);
    add(program, "config", "Print the settings as serve would see them, and where each comes from.",
        &ServerCommands::print_config)
        .add_flag("--markdown", markdown_, "Print the page that describes all settings instead.");
    add(program, "health", "Ask the server on this machine whether it is ready: exit code 0 or 1.",
        &ServerCommands::ask_health);
    CLI::App& store = *program.add_subcommand("store", "What an operator says about what is stored.");
    store.require_subcommand(1);
    add(store, "accept",
        "Accept what etcd holds, after it was wiped or restored: the servers give up what it has forgotten, and serve.",
        &ServerCommands::accept_store);
  }

  const std::vector<Command>& all() const { return commands_; }

 private:
  CLI::App& add(CLI::App& program, const char* name, const char* help, int (ServerCommands::*run)()) {
    CLI::App& app = *program.add_subcommand(name, help);
    declare_settings(app, given_);
    commands_.push_back({&app, [this, run] { return (this->*run)(); }, kSettingsError});
    return app;
  }

  int run_server() {
    config::LoadedSettings loaded = load_settings(given_);
    if (!report_errors(loaded)) return kSettingsError;
    if (loaded.settings.pprof_enabled) restart_with_profiler(argv_);
    return serve(loaded);
  }
  int print_config() { return print_settings(given_, markdown_); }
  // Docker knows no exit codes of a health check but 0 and 1.
  int ask_health() {
    config::LoadedSettings loaded = load_settings(given_);
    return report_errors(loaded) ? health(loaded.settings) : 1;
  }

  int accept_store() {
    config::LoadedSettings loaded = load_settings(given_);
    return report_errors(loaded) ? accept_loss(loaded) : kSettingsError;
  }

  char** argv_;
  SettingsFlags given_;
  bool markdown_ = false;
  std::vector<Command> commands_;
};

int run(int argc, char** argv) {
  CLI::App program("A distributed lock service over HTTP.", "shared-lock");
  program.require_subcommand(1);
  program.set_version_flag("--version", kTitle);
  ServerCommands server(program, argv);
  std::vector<Command> commands = server.all();
  // The command that `run` is to run is kept from the parser, which splits "[a,b]".
  char** all = argv + argc;
  char** end = argc > 1 && std::string("run") == argv[1] ? std::find(argv, all, std::string("--")) : all;
  commands.push_back(add_run(program, std::vector<std::string>(std::min(end + 1, all), all)));
  for (auto add : {add_acquire, add_renew, add_release, add_get, add_verify, add_force_release}) {
    commands.push_back(add(program));
  }
  std::ranges::copy(add_lease(program), std::back_inserter(commands));
  for (auto add : {add_bench, add_completion, add_man}) commands.push_back(add(program));
  CLI::App* version = program.add_subcommand("version", "Print the version.");
  commands.push_back({version, print_version});

  auto is_parsed = [](const Command& command) { return command.app->parsed(); };
  try {
    program.parse(static_cast<int>(end - argv), argv);
  } catch (const CLI::ParseError& error) {
    if (program.exit(error) == 0) return 0;
    auto chosen = std::ranges::find_if(commands, is_parsed);
    return chosen == commands.end() ? kExitUsage : chosen->usage_error;
  }
  return std::ranges::find_if(commands, is_parsed)->run();
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
