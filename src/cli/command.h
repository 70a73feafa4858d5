#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/exit_codes.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
}

namespace sharedlock {

// A command of the program.
struct Command {
  CLI::App* app = nullptr;       // its command line; the program's
  std::function<int()> run;      // what it does, once that is parsed; returns the exit code
  int usage_error = kExitUsage;  // the exit code when the command line makes no sense
};

// Each adds a command to the program, one in each file.
Command add_run(CLI::App& program, std::vector<std::string> words);  // of the command to run: what is behind `--`
Command add_acquire(CLI::App& program);
Command add_renew(CLI::App& program);
Command add_release(CLI::App& program);
Command add_get(CLI::App& program);
Command add_verify(CLI::App& program);
Command add_force_release(CLI::App& program);
std::vector<Command> add_lease(CLI::App& program);  // those of the lease API
Command add_completion(CLI::App& program);
Command add_man(CLI::App& program);

}  // namespace sharedlock
