#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/test_client.h"

namespace sharedlock::test {

using Environment = std::map<std::string, std::string>;

struct ProcessOptions {
  std::vector<std::string> arguments = {};
  Environment environment = {};  // all that the program sees, besides what sanitizers read
  // Where its stderr goes: nothing captures it; a descriptor is handed on (it stays the caller's); -1 closes it.
  std::optional<int> stderr_to = {};
  std::optional<std::uint64_t> soft_file_limit = {};
};

// The program under test as a child process. It never outlives the test: the destructor ends it, and the kernel does
// when the test itself dies. Not thread-safe. Failures of the system calls behind it throw std::runtime_error.
class Process {
 public:
  explicit Process(const ProcessOptions& options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // SIGKILL, if it still runs

  pid_t pid() const { return pid_; }
  void signal(int number);

  // Waits for the end. The exit code, or 128 + the signal that ended it; nothing when it still runs after `limit`.
  std::optional<int> wait(std::chrono::milliseconds limit = std::chrono::seconds(30));
  bool running();

  // What it has written so far.
  std::string out() const;
  std::string err() const;

 private:
  void reap(int wait_options);

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

// `shared-lock serve --port 0 ARGUMENTS…`, serving.
class ServerProcess {
 public:
  // Waits until it says that it serves; throws with what it said instead when it ended, or took too long.
  explicit ServerProcess(ProcessOptions options);
  // A memory store that everybody may use, on this machine alone, with `more` in its environment.
  static Environment open_memory(const Environment& more = {});

  std::uint16_t port() const { return port_; }
  Process& process() { return process_; }
  std::string err() const { return process_.err(); }

  http::TestClient connect() const { return http::TestClient(port_); }

  // One request on a connection of its own; see TestClient::request.
  http::TestResponse ask(std::string_view method, std::string_view target, std::string_view body = {},
                         std::string_view headers = {}) const;

  // Polls until stderr holds `text`; false when that does not happen.
  bool says(std::string_view text) const;

  // SIGTERM, and the exit code.
  std::optional<int> stop();

 private:
  Process process_;
  std::uint16_t port_ = 0;
};

// The port of the line that says that the server serves; nothing when `err` has none (yet).
std::optional<std::uint16_t> serving_port(std::string_view err);

}  // namespace sharedlock::test
