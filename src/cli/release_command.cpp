#include <CLI/CLI.hpp>
#include <memory>

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

Command add_release(CLI::App& program) {
  auto flags = std::make_shared<ReleaseFlags>();
  CLI::App& app = *program.add_subcommand("release", "Give back a lock, or several.");
  declare_names(app, flags->names.names);
  declare_namespace(app, flags->names.namespace_name);
  declare_instance(app, flags->names.instance, kHoldersInstance).required();
  app.footer(kReleaseFooter);
  return request_command(app, flags, release);
}

}  // namespace sharedlock
