#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/test_client.h"
#include "support/server_process.h"

namespace sharedlock::test {

using http::TestClient;
using http::TestResponse;

// A suite against one server, which all its cases share: each uses keys and locks of its own. `Settings` has a static
// function environment().
template <class Settings>
class OnServer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared() = std::make_unique<ServerProcess>(ProcessOptions{.environment = Settings::environment()});
  }
  // A clean end, after whatever the cases did; sanitizers show their findings in it as well.
  static void TearDownTestSuite() {
    EXPECT_EQ(shared()->stop(), 0) << shared()->err();
    shared().reset();
  }

  static ServerProcess& server() { return *shared(); }

  TestResponse ask(std::string_view method, std::string_view target, std::string_view body = {},
                   std::string_view headers = {}) {
    return client_.request(method, target, body, headers);
  }

  // On one connection, which is kept from request to request.
  TestResponse post(std::string_view target, std::string_view body, std::string_view headers = {}) {
    return ask("POST", target, body, headers);
  }

 private:
  static std::unique_ptr<ServerProcess>& shared() {
    static std::unique_ptr<ServerProcess> server;
    return server;
  }

  TestClient client_{server().port()};
};

struct OpenMemory {
  static Environment environment() { return ServerProcess::open_memory(); }
};

inline std::string header_line(std::string_view name, std::string_view value) {
  return std::string(name).append(": ").append(value).append("\r\n");
}

inline std::int64_t number_in(const std::optional<std::string>& text) {
  return text ? std::stoll(*text) : 0;
}

inline boost::json::object object_of(const std::string& body) {
  return boost::json::parse(body).as_object();
}

// Seconds since 1970, as the server counts them.
inline std::int64_t epoch_now() {
  auto now = std::chrono::system_clock::now();
  return std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
}

}  // namespace sharedlock::test
