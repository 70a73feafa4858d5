#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "cli/client_flags.h"
#include "cli/command.h"
#include "cli/command_table.h"
#include "sharedlock/operations.h"

namespace sharedlock {

// A command's output on stdout on success: lines of a name and its value, or one JSON object.
class Answer {
 public:
  // Control characters become `?` on lines: only the JSON has the exact text.
  Answer& text(std::string_view name, std::string_view value);
  Answer& number(std::string_view name, std::int64_t value);
  Answer& boolean(std::string_view name, bool value);
  // The names with their fencing tokens; if several, also as a list `locks`.
  Answer& locks(const std::vector<std::string>& names, const std::vector<std::int64_t>& tokens);
  // A grant, or a renewal.
  Answer& grant(const client::Names& names, const client::Grant& grant);

  // Call it once; false when stdout can't be written.
  bool print(bool as_json);

  int exit_code = 0;
  std::function<void()> undo;  // undoes it when it can't be printed: nobody would know of it

 private:
  std::string lines_;
  JsonObject json_;
};

// --server, --token-file, --json.
struct RequestFlags {
  ClientFlags client;
  bool json = false;
};
// `into` must outlive the parsing.
std::vector<Flag> request_flags(RequestFlags& into);

// Asks the server, and prints its answer, or the error on stderr (with --json also on stdout). `command` is the text
// behind the program's name. Returns the exit code.
int ask(const std::string& command, const RequestFlags& flags,
        const std::function<client::Result<Answer>(client::Operations)>& request);

// Makes a command one that asks once; a command in a group gets its full name. Adds the flags of RequestFlags after its
// own. `Flags` has a member `request` for them.
template <class Flags>
Command request_command(Command command, std::shared_ptr<Flags> flags,
                        client::Result<Answer> (*request)(client::Operations, const Flags&),
                        const std::string& group = "") {
  std::ranges::move(request_flags(flags->request), std::back_inserter(command.flags));
  command.run = [path = path_of(group, command), flags, request] {
    return ask(path, flags->request, [&](client::Operations operations) { return request(operations, *flags); });
  };
  return command;
}

}  // namespace sharedlock
