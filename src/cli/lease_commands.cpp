#include <memory>
#include <utility>
#include <vector>

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

std::vector<Flag> key_flags(LeaseFlags& flags) {
  return {{.name = "KEY", .help = "What is leased.", .target = &flags.key, .required = true}};
}

std::vector<Flag> id_flags(LeaseFlags& flags) {
  return {{.name = "ID", .help = "What grant printed as leaseId.", .target = &flags.id, .required = true}};
}

std::vector<Flag> grant_flags(LeaseFlags& flags) {
  return {
      key_flags(flags).front(),
      {.name = "--value", .value = "TEXT", .help = "Stored with the key, for people.", .target = &flags.value},
      seconds_flag("--ttl", flags.ttl, {.least = seconds(1)}, "How long it is held, unless it is kept alive."),
      seconds_flag("--wait", flags.wait, {}, "Wait in line so long when another holds it."),
      poll_flag(flags.request.client),
      patience_flag(flags.request.client),
  };
}

}  // namespace

Command lease_commands() {
  Command lease{.name = "lease", .help = "The same for the lease API."};
  auto add = [&](const char* name, const char* help, auto make_flags, Request request) {
    auto flags = std::make_shared<LeaseFlags>();
    Command command{.name = name, .help = help, .footer = kExitCodes, .flags = make_flags(*flags)};
    lease.commands.push_back(request_command(std::move(command), flags, request, lease.name));
  };
  add("grant", "Take a lease of a key.", grant_flags, grant);
  add("keepalive", "Hold it for its whole time to live again.", id_flags, keep_alive);
  add("release", "Give it back.", id_flags, release);
  add("get", "Show who holds a key.", key_flags, get);
  return lease;
}

}  // namespace sharedlock
