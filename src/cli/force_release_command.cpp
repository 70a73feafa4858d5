#include <memory>
#include <utility>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/request.h"

namespace sharedlock {

namespace {

constexpr const char* kForceReleaseFooter =
    "SHARED_LOCK_ADMIN_TOKEN holds the secret of the server's administrators. The holder is not asked, and learns\n"
    "of it at the next renewal: be sure that it is dead, or that the resource checks fencing tokens.\n"
    "\n"
    "Exit codes: 0, also when nobody held it; 64 usage; 69 no answer from the server; 77 refused by the server.\n";

struct ForceReleaseFlags {
  RequestFlags request;
  std::string namespace_name = "default";
  std::string name;
  std::string reason;
};

client::Result<Answer> force_release(client::Operations operations, const ForceReleaseFlags& flags) {
  auto released = operations.force_release(flags.namespace_name, flags.name, flags.reason);
  if (!released) return released.error();
  return Answer().boolean("success", true);
}

}  // namespace

Command force_release_command() {
  auto flags = std::make_shared<ForceReleaseFlags>();
  Command command{.name = "force-release",
                  .help = "Take a lock away from its holder, for administrators.",
                  .footer = kForceReleaseFooter};
  command.flags = {
      name_flag(flags->name),
      namespace_flag(flags->namespace_name),
      {.name = "--reason", .value = "TEXT", .help = "For the server's audit log.", .target = &flags->reason},
  };
  return request_command(std::move(command), flags, force_release);
}

}  // namespace sharedlock
