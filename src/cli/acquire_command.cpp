#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/held_around.h"
#include "cli/request.h"
#include "cli/say.h"

namespace sharedlock {

namespace {

constexpr const char* kAcquireFooter =
    "Prints the fencing token, the instance that renew and release want, for how many seconds it is safe (ttl,\n"
    "counted from before the call) and when it ends (expiry, in seconds since 1970). Nobody renews it:\n"
    "`shared-lock run` does. After waiting, renew it once before you count on the ttl.\n"
    "\n"
    "Exit codes: 0; 64 usage; 69 no answer from the server; 75 another holds it; 77 refused by the server.\n";

struct AcquireFlags {
  RequestFlags request;
  client::Names names;
  std::chrono::seconds ttl{60};
  std::chrono::seconds wait{0};
};

// One of these locks that is waited for in vain, since the process that runs this holds it.
std::string waits_for_itself(const client::Names& names) {
  for (const std::string& name : names.names) {
    std::string why = held_around(names.namespace_name, name);
    if (!why.empty()) return name + why;
  }
  return "";
}

client::Result<Answer> acquire(client::Operations operations, const AcquireFlags& flags) {
  client::Names names = flags.names;
  if (names.instance.empty()) names.instance = client::random_instance();
  std::string around = flags.wait > std::chrono::seconds(0) ? waits_for_itself(names) : "";
  std::jthread saying;
  if (!around.empty()) saying = say_later("acquire", "waiting for " + around);
  auto granted = operations.acquire(names, flags.ttl, flags.wait);
  saying = {};
  if (!granted) return granted.error();
  Answer answer;
  answer.grant(names, *granted);
  answer.undo = [operations, names] { (void)operations.release(names); };
  return answer;
}

}  // namespace

Command acquire_command() {
  auto flags = std::make_shared<AcquireFlags>();
  Command command{.name = "acquire",
                  .help = "Take a lock, or several, and leave it to its time to live.",
                  .footer = kAcquireFooter};
  command.flags = {
      names_flag(flags->names.names),
      namespace_flag(flags->names.namespace_name),
      seconds_flag("--ttl", flags->ttl, {std::chrono::seconds(1), std::chrono::hours(24)},
                   "How long it is held, unless it is renewed or released."),
      seconds_flag("--wait", flags->wait, {}, "Wait in line so long when another holds it."),
      poll_flag(flags->request.client),
      patience_flag(flags->request.client),
      instance_flag(flags->names.instance, "Who takes it; by default new and random, which is best."),
  };
  return request_command(std::move(command), flags, acquire);
}

}  // namespace sharedlock
