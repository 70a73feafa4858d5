#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "app/bench_command.h"
#include "app/command_line.h"
#include "app/health.h"
#include "app/profiler_restart.h"
#include "app/serve.h"
#include "app/version.h"
#include "cli/exit_codes.h"
#include "cli/run_command.h"
#include "config/config_page.h"

namespace sharedlock {
namespace {

constexpr int kUsageError = 2;

int print_settings(const SettingsFlags& given, bool markdown) {
  if (markdown) {
    std::fputs(config::markdown_page().c_str(), stdout);
    return 0;
  }
  config::LoadedSettings loaded = load_settings(given);
  if (!report_errors(loaded)) return kUsageError;
  for (const std::string& warning : loaded.warnings) std::fprintf(stderr, "shared-lock: %s\n", warning.c_str());
  std::fputs(config::effective_settings(loaded).c_str(), stdout);
  return 0;
}

int print_version() {
  std::printf("shared-lock %.*s\n", static_cast<int>(kVersion.size()), kVersion.data());
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

int run(int argc, char** argv) {
  CLI::App program("A distributed lock service over HTTP.", "shared-lock");
  program.require_subcommand(1);
  SettingsFlags given;
  bool markdown = false;

  CLI::App* serve_command = program.add_subcommand("serve", "Run the server.");
  declare_settings(*serve_command, given);
  CLI::App* config_command =
      program.add_subcommand("config", "Print the settings as serve would see them, and where each comes from.");
  declare_settings(*config_command, given);
  config_command->add_flag("--markdown", markdown, "Print the page that describes all settings instead.");
  CLI::App* health_command =
      program.add_subcommand("health", "Ask the server on this machine whether it is ready: exit code 0 or 1.");
  declare_settings(*health_command, given);
  BenchFlags bench_flags;
  CLI::App* bench_command = program.add_subcommand("bench", "Load a server with requests, and print what it did.");
  declare_bench(*bench_command, bench_flags);
  RunFlags run_flags;
  CLI::App* run_program_command = program.add_subcommand("run", "Run a program under a lock.");
  declare_run(*run_program_command, run_flags);
  CLI::App* version_command = program.add_subcommand("version", "Print the version.");

  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (program.exit(error) == 0) return 0;
    if (run_program_command->parsed()) return kExitUsage;
    return bench_command->parsed() ? kBenchUsageError : kUsageError;
  }
  if (run_program_command->parsed()) return run_command(run_flags);
  if (bench_command->parsed()) return run_bench(bench_flags);
  if (version_command->parsed()) return print_version();
  if (config_command->parsed()) return print_settings(given, markdown);
  config::LoadedSettings loaded = load_settings(given);
  bool usable = report_errors(loaded);
  // Docker knows no exit codes of a health check but 0 and 1.
  if (health_command->parsed()) return usable ? health(loaded.settings) : 1;
  if (!usable) return kUsageError;
  if (loaded.settings.pprof_enabled) restart_with_profiler(argv);
  return serve(loaded);
}

}  // namespace
}  // namespace sharedlock

int main(int argc, char** argv) {
  sharedlock::hold_standard_streams();
  try {
    return sharedlock::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "shared-lock: %s\n", error.what());
    return 1;
  }
}
