#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sharedlock::test {

using Environment = std::map<std::string, std::string>;

struct ProcessOptions {
  std::string program = SHAREDLOCK_PROGRAM;  // a path
  std::vector<std::string> arguments = {};
  std::string input = {};        // what it reads from its stdin
  Environment environment = {};  // all that the program sees, besides what sanitizers read
  // Where its stderr goes: nothing captures it; a descriptor is handed on (it stays the caller's); -1 closes it.
  std::optional<int> stderr_to = {};
  std::optional<std::uint64_t> soft_file_limit = {};
  std::optional<std::uint64_t> hard_file_limit = {};  // and the soft one, which the server raises to it
  bool obeys_file_modes = false;                      // also as root, which else may write everywhere
};

// A program, by default the one under test, as a child process. It never outlives the test: the destructor ends it, and
// the kernel does when the thread that made it ends. Not thread-safe. Failures of the system calls behind it throw
// std::runtime_error.
class Process {
 public:
  explicit Process(const ProcessOptions& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // SIGKILL, if it still runs

  pid_t pid() const { return pid_; }
  void signal(int number);
  void stop();    // SIGSTOP; when it returns, every thread of the process stands still
  void resume();  // SIGCONT

  // Waits for the end. The exit code, or 128 + the signal that ended it; nothing when it still runs after `limit`.
  std::optional<int> wait(std::chrono::milliseconds limit = std::chrono::seconds(30));
  bool running();

  // What it has written so far.
  std::string out() const;
  std::string err() const;
  std::string last_words() const;  // how it ended, and the end of err()

 private:
  void reap(int wait_options);

  std::string program_;
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  std::optional<int> exit_code_;
};

// Runs the program to its end.
struct Ended {
  int exit_code;
  std::string out;
  std::string err;
};
Ended run_program(const ProcessOptions& options);

// So many connections fit into this process only once its limit is raised; throws when they do not even then.
void allow_open_files(std::size_t count);

}  // namespace sharedlock::test
