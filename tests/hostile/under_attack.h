#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "http/test_client.h"
#include "support/effort.h"
#include "support/server_process.h"

namespace sharedlock::test {

using http::TestClient;
using http::TestResponse;

// What the program holds, as the kernel counts it.
std::size_t open_files(pid_t process);
std::size_t open_sockets(pid_t process);
std::size_t resident_bytes(pid_t process);
std::size_t most_resident_bytes(pid_t process);  // ever

// Each case attacks a server of its own. Whatever it did, in the end the server answers others as before, has closed
// every connection, and ends cleanly, where a sanitizer has nothing to say.
class UnderAttack : public testing::Test {
 protected:
  explicit UnderAttack(const Environment& more = {});
  void TearDown() override;

  TestClient connect() { return server_.connect(); }
  std::uint16_t port() const { return server_.port(); }
  pid_t pid() { return server_.process().pid(); }

  // Open connections, as the kernel counts them.
  std::size_t connections() { return open_sockets(pid()) - listening_; }
  bool eventually_connections(std::size_t count);

  // Fails where the server has ever taken more than `bytes` since it began to serve (sanitizers keep what is freed).
  void expect_memory_grew_no_more_than(std::size_t bytes);

  // One request on a connection of its own.
  TestResponse ask(std::string_view method, std::string_view target, std::string_view body = {}) {
    return server_.ask(method, target, body);
  }

  ServerProcess server_;

 private:
  std::size_t listening_;
  std::size_t memory_;
};

// Sends `bytes`; expects one answer with this status and the end of the connection behind it.
void expect_one_answer_and_close(TestClient client, std::string_view bytes, int status);

inline std::string post_head(std::string_view target, std::string_view lines) {
  return "POST " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(lines) + "\r\n";
}

inline const std::string kGetHealth = "GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
inline const std::string kGetMetrics = "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n";

}  // namespace sharedlock::test
