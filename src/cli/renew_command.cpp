#include <memory>
#include <utility>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/request.h"

namespace sharedlock {

namespace {

constexpr const char* kRenewFooter =
    "Count the ttl that it prints from before the call.\n"
    "\n"
    "Exit codes: 0; 64 usage; 69 no answer from the server: ask again while the old ttl lasts; 76 it is not held\n"
    "any more; 77 refused by the server.\n";

struct RenewFlags {
  RequestFlags request;
  client::Names names;
  std::chrono::seconds ttl{60};
};

client::Result<Answer> renew(client::Operations operations, const RenewFlags& flags) {
  auto renewed = operations.renew(flags.names, flags.ttl);
  if (!renewed) return renewed.error();
  return Answer().grant(flags.names, *renewed);
}

}  // namespace

Command renew_command() {
  auto flags = std::make_shared<RenewFlags>();
  Command command{.name = "renew", .help = "Hold a lock for longer, counted from now.", .footer = kRenewFooter};
  command.flags = {
      names_flag(flags->names.names),
      namespace_flag(flags->names.namespace_name),
      holders_instance_flag(flags->names.instance),
      seconds_flag("--ttl", flags->ttl, {std::chrono::seconds(1), std::chrono::hours(24)},
                   "For so long; a longer time that is left stays."),
  };
  return request_command(std::move(command), flags, renew);
}

}  // namespace sharedlock
