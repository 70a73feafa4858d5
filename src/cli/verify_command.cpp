#include <memory>
#include <utility>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/request.h"

namespace sharedlock {

namespace {

constexpr const char* kVerifyFooter =
    "For a resource that can't keep the largest token it has seen. It is a look: a moment later another may hold\n"
    "it.\n"
    "\n"
    "Exit codes: 0 it is; 1 it is not; 64 usage; 69 no answer from the server; 77 refused by the server.\n";

struct VerifyFlags {
  RequestFlags request;
  std::string namespace_name = "default";
  std::string name;
  std::int64_t token = 0;
};

client::Result<Answer> verify(client::Operations operations, const VerifyFlags& flags) {
  auto verdict = operations.verify(flags.namespace_name, flags.name, flags.token);
  if (!verdict) return verdict.error();
  Answer answer;
  answer.boolean("valid", verdict->valid).number("current", verdict->current);
  answer.exit_code = verdict->valid ? 0 : kExitNo;
  return answer;
}

}  // namespace

Command verify_command() {
  auto flags = std::make_shared<VerifyFlags>();
  Command command{
      .name = "verify", .help = "Ask whether a fencing token is that of the present holder.", .footer = kVerifyFooter};
  command.flags = {
      name_flag(flags->name),
      {.name = "TOKEN", .help = "The fencing token.", .target = &flags->token, .required = true},
      namespace_flag(flags->namespace_name),
  };
  return request_command(std::move(command), flags, verify);
}

}  // namespace sharedlock
