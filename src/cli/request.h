#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "sharedlock/operations.h"

namespace sharedlock {

// What a command prints on stdout when all went well: lines of a name and its value, or one JSON object.
class Answer {
 public:
  // Control characters become `?` on lines: exact text is in the JSON alone.
  Answer& text(std::string_view name, std::string_view value);
  Answer& number(std::string_view name, std::int64_t value);
  Answer& boolean(std::string_view name, bool value);
  // The names with their fencing tokens; of several also as a list `locks`.
  Answer& locks(const std::vector<std::string>& names, const std::vector<std::int64_t>& tokens);
  // A grant, or a renewal.
  Answer& grant(const client::Names& names, const client::Grant& grant);

  // Once; false when stdout can't be written.
  bool print(bool as_json);

  int exit_code = 0;
  std::function<void()> undo;  // what undoes it when it can't be printed: nobody would know of it

 private:
  std::string lines_;
  JsonObject json_;
};

// --server, --token-file, --json.
struct RequestFlags {
  ClientFlags client;
  bool json = false;
};
void declare_request(CLI::App& command, RequestFlags& into);

// Asks the server, and prints its answer, or what went wrong on stderr (with --json also on stdout). Returns the exit
// code.
int ask(const CLI::App& command, const RequestFlags& flags,
        const std::function<client::Result<Answer>(client::Operations)>& request);

// A command that asks once: declares the flags of RequestFlags after its own. `Flags` has a member `request` for them.
template <class Flags>
Command request_command(CLI::App& app, std::shared_ptr<Flags> flags,
                        client::Result<Answer> (*request)(client::Operations, const Flags&)) {
  declare_request(app, flags->request);
  auto run = [&app, flags, request] {
    return ask(app, flags->request, [&](client::Operations operations) { return request(operations, *flags); });
  };
  return {&app, run};
}

}  // namespace sharedlock
