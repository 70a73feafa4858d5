#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cli/exit_codes.h"

// Command lines as data: the source of the parser, the help texts, the completions and the manual page.
namespace sharedlock {

// Checks a value; returns what is wrong with it, for people, or nothing.
using Check = std::function<std::string(const std::string& text)>;

// For a flag that prints this and ends the program.
struct Version {
  std::string text;
};

// The target of a value; the owner of the flags keeps it until the command has run. A bool is a flag without a value, a
// vector takes several values, and a Check both checks the value and keeps it.
using Target =
    std::variant<bool*, std::string*, std::vector<std::string>*, int*, std::int64_t*, unsigned*, std::uint64_t*,
                 double*, std::optional<std::uint64_t>*, std::optional<double>*, Check, Version>;

// A flag; or a positional, if the name has no dashes.
struct Flag {
  std::string name;        // "--ttl", "NAME"
  std::string value = {};  // its kind: "DURATION", or one of a few words: "terminate|kill|ignore"; may be empty
  std::string help = {};
  Target target = {};
  std::string preset = {};                          // the default as the help shows it; empty: not shown
  Check check = {};                                 // of each value, before it is kept
  std::optional<std::pair<int, int>> between = {};  // the smallest and largest number
  bool required = false;
  bool value_optional = false;             // may be given without its value
  std::string group = {};                  // the heading in the help, if not that of most flags
  std::vector<std::string> excludes = {};  // names of flags of the same command
};

// A command; or a group of commands, without an action of its own; or the program, the group of all.
struct Command {
  std::string name;
  std::string help;
  std::string footer = {};  // below the flags
  std::vector<Flag> flags = {};
  std::function<int()> run = {};  // its action, once the flags are in their targets; returns the exit code
  int usage_error = kExitUsage;   // the exit code for an invalid command line
  std::vector<Command> commands = {};
};

// Every command has it besides its own flags; `-h` is an alias.
Flag help_flag();

// Parses the command line, and runs the command that it names. Returns its exit code; 0 when a help text or version was
// requested and printed. Errors are reported on stderr; the exit code is then the command's `usage_error`, or
// kExitUsage if no command was named. An exception from a `run` passes through.
int run_command_line(const Command& program, int argc, const char* const* argv);

}  // namespace sharedlock
