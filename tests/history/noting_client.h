#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "history/history.h"
#include "http/test_client.h"

namespace sharedlock::test {

// A client of both APIs that notes each request and its answer. Every call but the first and the last two may throw
// std::runtime_error: the connection broke, or no answer came; that is noted too. Not thread-safe.
class NotingClient {
 public:
  explicit NotingClient(Client client) : client_(client) {}

  // To the server of that life, which listens there. Ends the last connection.
  void connect(std::uint16_t port, int life);
  bool connected() const { return connection_.has_value(); }
  void disconnect() { connection_.reset(); }

  // The lock API. Each returns what it noted.
  Operation acquire(const std::string& lock, int instance, std::chrono::seconds duration,
                    std::chrono::seconds wait = {});
  Operation renew(const std::string& lock, int instance, std::chrono::seconds duration);  // from now
  Operation release(const std::string& lock, int instance);
  Operation look(const std::string& lock);

  // The lease API.
  Operation grant(const std::string& key, std::chrono::seconds ttl, std::chrono::seconds wait = {});
  Operation keep_alive(const std::string& key, std::int64_t lease);
  Operation give_back(const std::string& key, std::int64_t lease);

  // The next request is not waited for any longer than that: its connection ends.
  void hang_up_after(std::chrono::milliseconds time) { patience_ = time; }

  // What was noted since the last call.
  std::vector<Operation> take_operations();

 private:
  Operation change(Operation operation, std::string_view what, int duration);
  Operation ask(Operation operation, std::string_view method, const std::string& target, const std::string& body = {},
                const std::string& headers = {});

  const Client client_;
  std::optional<http::TestClient> connection_;
  int life_ = 0;
  std::optional<std::chrono::milliseconds> patience_;
  std::vector<Operation> operations_;
};

}  // namespace sharedlock::test
