#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/guard.h"
#include "sharedlock/client.h"

namespace sharedlock {

struct RunOptions {
  client::ClientOptions server;
  std::string namespace_name = "default";
  std::string name;
  client::Wait wait = client::kForEver;
  std::chrono::seconds ttl{15};  // at least 5 s: what remains of less is too short to end a command in
  OnLost on_lost = OnLost::terminate;
  bool close_on_exit = false;             // release when the command itself has ended; its descendants live on
  std::optional<int> conflict_exit_code;  // instead of kExitNotAcquired
  std::vector<std::string> command;       // none: holds until a signal
};

// Runs the command under the lock; see `shared-lock run --help`. Returns the exit code. Call it before there are
// threads.
int run_under_lock(const RunOptions& options);

}  // namespace sharedlock
