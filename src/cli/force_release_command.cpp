#include <CLI/CLI.hpp>
#include <memory>

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

Command add_force_release(CLI::App& program) {
  auto flags = std::make_shared<ForceReleaseFlags>();
  CLI::App& app = *program.add_subcommand("force-release", "Take a lock away from its holder, for administrators.");
  declare_name(app, flags->name);
  declare_namespace(app, flags->namespace_name);
  app.add_option("--reason", flags->reason, "For the server's audit log.")->type_name("TEXT");
  app.footer(kForceReleaseFooter);
  return request_command(app, flags, force_release);
}

}  // namespace sharedlock
