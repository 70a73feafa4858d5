#include "cli/run_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "base/go_duration.h"
#include "cli/exit_codes.h"
#include "cli/runner.h"
#include "cli/server_flags.h"

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
    "A server lets nobody wait longer than an hour: whoever does takes a new place at the end of the line.\n"
    "\n"
    "Exit codes: the command's own; 128 + n when signal n ended it; 64 usage; 69 no answer from the server;\n"
    "75 not acquired; 76 lost; 77 refused by the server; 126 not executable; 127 not found.\n";

constexpr const char* kGoodNames = ": 3 to 64 letters, digits, dashes and underscores";

bool is_name(const std::string& text) {
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return text.size() >= 3 && text.size() <= 64 && std::ranges::all_of(text, fits);
}

std::optional<seconds> whole_seconds(const std::string& text) {
  auto duration = parse_go_duration(text);
  if (!duration || duration->count() < 0) return std::nullopt;
  return std::chrono::ceil<seconds>(*duration);
}

int usage_error(const std::string& text) {
  std::fprintf(stderr, "shared-lock run: %s\n", text.c_str());
  return kExitUsage;
}

}  // namespace

void declare_run(CLI::App& command, RunFlags& into) {
  command.add_option("name", into.name, "The lock.")->required()->type_name("NAME");
  declare_server(command, into.server, into.token_file);
  command.add_option("--namespace", into.space, "The lock's namespace.")->capture_default_str()->type_name("NAME");
  command.add_option("--wait", into.wait, "Wait in line so long, as in 30s; 0: not at all. Without it: for ever.")
      ->type_name("DURATION");
  command.add_option("--ttl", into.ttl, "How long the lock outlives us; 5s at least.")
      ->capture_default_str()
      ->type_name("DURATION");
  command.add_option("--on-lost", into.on_lost, "What becomes of the command when the lock is lost: see below.")
      ->capture_default_str()
      ->check(CLI::IsMember({"terminate", "kill", "ignore"}));
  command.add_option("--conflict-exit-code", into.conflict_exit_code, "Instead of 75, when another holds the lock.")
      ->check(CLI::Range(0, 255));
  command.add_option("command", into.command, "What to run, after `--`.")->type_name("COMMAND...");
  command.footer(kFooter);
}

int run_command(const RunFlags& flags) {
  auto server = server_options(flags.server, flags.token_file);
  if (!server) return usage_error(server.error().message);
  RunOptions options;
  options.server = *std::move(server);
  options.space = flags.space;
  options.name = flags.name;
  options.command = flags.command;
  if (!is_name(flags.name)) return usage_error("'" + flags.name + "' is no name" + kGoodNames);
  if (!is_name(flags.space)) return usage_error("--namespace: '" + flags.space + "' is no name" + kGoodNames);
  auto ttl = whole_seconds(flags.ttl);
  if (!ttl) return usage_error("--ttl: '" + flags.ttl + "' is no duration; a good one is 15s");
  if (*ttl < kShortestTtl || *ttl > kLongestTtl) return usage_error("--ttl: must be 5s to 24h");
  options.ttl = *ttl;
  if (!flags.wait.empty()) {
    auto wait = whole_seconds(flags.wait);
    if (!wait) return usage_error("--wait: '" + flags.wait + "' is no duration; a good one is 30s");
    options.wait = *wait;
  }
  if (flags.on_lost == "kill") options.on_lost = OnLost::kill;
  if (flags.on_lost == "ignore") options.on_lost = OnLost::ignore;
  if (flags.conflict_exit_code >= 0) options.conflict_exit_code = flags.conflict_exit_code;
  return run_under_lock(options);
}

}  // namespace sharedlock
