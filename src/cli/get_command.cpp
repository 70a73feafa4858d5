#include <memory>
#include <utility>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/request.h"

namespace sharedlock {

namespace {

constexpr const char* kGetFooter =
    "Prints owner, fencing token, expiry (in seconds since 1970), and how many wait in line. What it says may\n"
    "have changed by the time it is read: to use the lock, acquire it.\n"
    "\n"
    "Exit codes: 0 somebody holds it; 1 nobody; 64 usage; 69 no answer from the server; 77 refused by the server.\n";

struct GetFlags {
  RequestFlags request;
  std::string namespace_name = "default";
  std::string name;
};

client::Result<Answer> get(client::Operations operations, const GetFlags& flags) {
  auto state = operations.get(flags.namespace_name, flags.name);
  if (!state) return state.error();
  Answer answer;
  answer.text("namespace", flags.namespace_name).text("lockName", flags.name).boolean("held", state->held);
  if (state->held) {
    answer.text("owner", state->owner).number("fencingToken", state->token).number("expiry", state->expiry);
    answer.number("waiters", state->waiters);  // the server does not report it for a free lock
  }
  answer.exit_code = state->held ? 0 : kExitNo;
  return answer;
}

}  // namespace

Command get_command() {
  auto flags = std::make_shared<GetFlags>();
  Command command{.name = "get", .help = "Show who holds a lock.", .footer = kGetFooter};
  command.flags = {name_flag(flags->name), namespace_flag(flags->namespace_name)};
  return request_command(std::move(command), flags, get);
}

}  // namespace sharedlock
