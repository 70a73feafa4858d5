#pragma once

#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
}

namespace sharedlock {

struct RunFlags {
  std::string name;
  std::string space = "default";
  std::string server;
  std::string token_file;
  std::string wait;
  std::string ttl = "15s";
  std::string on_lost = "terminate";
  int conflict_exit_code = -1;
  std::vector<std::string> command;
};

// Declares the flags of `run`; `into` must outlive the parsing.
void declare_run(CLI::App& command, RunFlags& into);

// Runs it. Returns the exit code.
int run_command(const RunFlags& flags);

}  // namespace sharedlock
