#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/arguments.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/runner.h"

namespace sharedlock {

namespace {

using std::chrono::seconds;

constexpr seconds kShortestTtl{5};
constexpr seconds kLongestTtl{86400};

constexpr const char* kFooter =
    "The command runs in a process group of its own, with SHARED_LOCK_FENCING_TOKEN, SHARED_LOCK_NAME and\n"
    "SHARED_LOCK_NAMESPACE in its environment. The lock is renewed at a third of its ttl, and released when the\n"
    "command and all that it started have ended. Without a command it is held until a signal, and its token printed.\n"
    "\n"
    "Where it can't be renewed, the command and all that it started are ended before another could have the lock:\n"
    "  terminate  SIGTERM after two thirds of the ttl, SIGKILL a tenth of it (1 s at least) before its end\n"
    "  kill       SIGKILL alone, at that time\n"
    "  ignore     nothing: the command goes on without the lock\n"
    "When the server says that the lock is lost, and when this program is killed, they are killed at once, unless it\n"
    "is `ignore`.\n"
    "\n"
    "While it waits, a signal ends it: its place in line is given up, what it may have taken is given back, for two\n"
    "seconds at most; a second signal ends it at once.\n"
    "\n"
    "Exit codes: the command's own; 128 + n when signal n ended it; 64 usage; 69 no answer from the server;\n"
    "70 the system would not; 75 not acquired; 76 lost; 77 refused by the server; 126 not executable; 127 not found.\n";

struct Flags {
  ClientFlags client;
  RunOptions options;
  std::string on_lost = "terminate";
  int conflict_exit_code = -1;
  std::vector<std::string> misplaced;  // words of the command, without the `--`
};

int run(const Flags& flags) {
  if (!flags.misplaced.empty()) {
    std::fprintf(stderr, "shared-lock run: `--` is missing before %s\n", flags.misplaced.front().c_str());
    return kExitUsage;
  }
  auto server = client_options(flags.client);
  if (!server) {
    std::fprintf(stderr, "shared-lock run: %s\n", server.error().message.c_str());
    return kExitUsage;
  }
  RunOptions options = flags.options;
  options.server = *std::move(server);
  if (flags.on_lost == "kill") options.on_lost = OnLost::kill;
  if (flags.on_lost == "ignore") options.on_lost = OnLost::ignore;
  if (flags.conflict_exit_code >= 0) options.conflict_exit_code = flags.conflict_exit_code;
  try {
    return run_under_lock(options);
  } catch (const client::Failure& failure) {  // in the client's settings, before any request
    std::fprintf(stderr, "shared-lock run: %s\n", failure.what());
    return kExitUsage;
  } catch (const std::exception& failure) {  // from the system: processes, files, threads
    std::fprintf(stderr, "shared-lock run: %s\n", failure.what());
    return kExitSoftware;
  }
}

}  // namespace

Command run_command(std::vector<std::string> words) {
  auto flags = std::make_shared<Flags>();
  RunOptions& options = flags->options;
  options.command = std::move(words);
  Command command{.name = "run", .help = "Run a program under a lock.", .footer = kFooter};
  command.flags = {
      name_flag(options.name),
      server_flag(flags->client),
      token_file_flag(flags->client),
      connect_timeout_flag(flags->client),
      namespace_flag(options.namespace_name),
      seconds_flag("--wait", options.wait, {}, "Wait in line so long; 0: not at all. Without it: for ever."),
      poll_flag(flags->client),
      patience_flag(flags->client),
      seconds_flag("--ttl", options.ttl, {kShortestTtl, kLongestTtl}, "How long the lock outlives us."),
      choice_flag("--on-lost", flags->on_lost, {"terminate", "kill", "ignore"},
                  "What becomes of the command when the lock is lost: see below."),
      {.name = "--conflict-exit-code",
       .value = "N",
       .help = "Instead of 75, when another holds the lock.",
       .target = &flags->conflict_exit_code,
       .between = {{0, 255}}},
      {.name = "--close-on-exit",
       .help = "Release when the command itself has ended: daemons that it started live on, without the lock.",
       .target = &options.close_on_exit},
      {.name = "COMMAND", .help = "What to run, after `--`.", .target = &flags->misplaced},
  };
  command.run = [flags] { return run(*flags); };
  return command;
}

}  // namespace sharedlock
