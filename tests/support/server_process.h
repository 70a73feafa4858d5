#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/test_client.h"
#include "support/process.h"

namespace sharedlock::test {

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
