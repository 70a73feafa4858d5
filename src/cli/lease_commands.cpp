#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/request.h"

namespace sharedlock {

namespace {

using std::chrono::seconds;

constexpr const char* kExitCodes =
    "Exit codes: 0; 64 usage; 69 no answer from the server; 75 another holds the key; 76 there is no such lease\n"
    "(any more); 77 refused by the server. get: 1 when nobody holds the key.\n";

struct LeaseFlags {
  RequestFlags request;
  std::string key;
  std::string value;
  seconds ttl{60};
  seconds wait{0};
  std::int64_t id = 0;
};
using Request = client::Result<Answer> (*)(client::Operations, const LeaseFlags&);

client::Result<Answer> grant(client::Operations operations, const LeaseFlags& flags) {
  auto granted = operations.grant(flags.key, flags.value, flags.ttl, flags.wait);
  if (!granted) return granted.error();
  Answer answer;
  answer.text("key", flags.key).number("leaseId", granted->id).number("fencingToken", granted->token);
  answer.number("ttl", granted->ttl.count());
  answer.undo = [operations, id = granted->id] { (void)operations.release_lease(id); };
  return answer;
}

client::Result<Answer> keep_alive(client::Operations operations, const LeaseFlags& flags) {
  auto kept = operations.keep_alive(flags.id);
  if (!kept) return kept.error();
  Answer answer;
  answer.number("leaseId", flags.id).number("ttl", kept->ttl.count());
  return answer;
}

client::Result<Answer> release(client::Operations operations, const LeaseFlags& flags) {
  auto released = operations.release_lease(flags.id);
  if (!released) return released.error();
  return Answer().boolean("success", true);
}

client::Result<Answer> get(client::Operations operations, const LeaseFlags& flags) {
  auto state = operations.get_lease(flags.key);
  if (!state) return state.error();
  Answer answer;
  answer.text("key", flags.key).boolean("held", state->held);
  if (state->held) {
    answer.text("value", state->value).number("fencingToken", state->token).number("ttl", state->ttl.count());
  }
  answer.exit_code = state->held ? 0 : kExitNo;
  return answer;
}

void declare_key(CLI::App& app, LeaseFlags& flags) {
  app.add_option("KEY", flags.key, "What is leased.")->required()->type_name("");
}
void declare_id(CLI::App& app, LeaseFlags& flags) {
  app.add_option("ID", flags.id, "What grant printed as leaseId.")->required()->type_name("");
}

void declare_grant(CLI::App& app, LeaseFlags& flags) {
  declare_key(app, flags);
  app.add_option("--value", flags.value, "Stored with the key, for people.")->type_name("TEXT");
  declare_seconds(app, "--ttl", flags.ttl, {.least = seconds(1)}, "How long it is held, unless it is kept alive.");
  declare_seconds(app, "--wait", flags.wait, {}, "Wait in line so long when another holds it.");
  declare_waiting(app, flags.request.client);
}

}  // namespace

std::vector<Command> add_lease(CLI::App& program) {
  CLI::App& lease = *program.add_subcommand("lease", "The same for the lease API.");
  lease.require_subcommand(1);
  std::vector<Command> commands;
  auto add = [&](const char* name, const char* help, auto declare, Request request) {
    auto flags = std::make_shared<LeaseFlags>();
    CLI::App& app = *lease.add_subcommand(name, help);
    declare(app, *flags);
    app.footer(kExitCodes);
    commands.push_back(request_command(app, flags, request));
  };
  add("grant", "Take a lease of a key.", declare_grant, grant);
  add("keepalive", "Hold it for its whole time to live again.", declare_id, keep_alive);
  add("release", "Give it back.", declare_id, release);
  add("get", "Show who holds a key.", declare_key, get);
  return commands;
}

}  // namespace sharedlock
