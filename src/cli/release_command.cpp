#include <memory>
#include <utility>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/request.h"

namespace sharedlock {

namespace {

constexpr const char* kReleaseFooter =
    "Exit codes: 0, also when nobody held it; 64 usage; 69 no answer from the server; 76 another holds it; 77\n"
    "refused by the server.\n";

struct ReleaseFlags {
  RequestFlags request;
  client::Names names;
};

client::Result<Answer> release(client::Operations operations, const ReleaseFlags& flags) {
  auto released = operations.release(flags.names);
  if (!released && released.error().code == client::Errc::held_by_another) {
    return client::Error{client::Errc::lost, released.error().message};
  }
  if (!released) return released.error();
  return Answer().boolean("success", true);
}

}  // namespace

Command release_command() {
  auto flags = std::make_shared<ReleaseFlags>();
  Command command{.name = "release", .help = "Give back a lock, or several.", .footer = kReleaseFooter};
  command.flags = {
      names_flag(flags->names.names),
      namespace_flag(flags->names.namespace_name),
      holders_instance_flag(flags->names.instance),
  };
  return request_command(std::move(command), flags, release);
}

}  // namespace sharedlock
