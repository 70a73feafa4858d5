#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/test_client.h"
#include "support/etcd_server.h"
#include "support/eventually.h"
#include "support/server_process.h"

namespace sharedlock::test {

using http::TestResponse;

// How long etcd may take to answer a request of the servers in these tests; and when a client must have its answer.
inline constexpr std::chrono::milliseconds kRequestTimeout{3000};
inline constexpr std::chrono::milliseconds kAnswered = kRequestTimeout + std::chrono::milliseconds(1500);

// `shared-lock serve` on an etcd, and what clients ask of it, each time on a connection of its own.
class ServiceOnEtcd {
 public:
  explicit ServiceOnEtcd(const std::string& endpoints, const Environment& more = {},
                         std::vector<std::string> arguments = {})
      : server_({.arguments = std::move(arguments), .environment = environment(endpoints, more)}) {}
  explicit ServiceOnEtcd(const EtcdServer& etcd, const Environment& more = {})
      : ServiceOnEtcd(etcd.endpoints(), more) {}

  static Environment environment(const std::string& endpoints, const Environment& more = {}) {
    Environment all{{"SHARED_LOCK_ETCD_ADDR_LIST", endpoints},
                    {"LOCKER_ETCD_REQUEST_TIMEOUT_MS", std::to_string(kRequestTimeout.count())},
                    {"AUTHENTICATION_DISABLED", "true"},
                    {"SHARED_LOCK_SERVER_ADDRESS", "127.0.0.1"}};
    for (const auto& [name, value] : more) all[name] = value;
    return all;
  }

  ServerProcess& server() { return server_; }
  Process& process() { return server_.process(); }

  // The lease API.
  TestResponse grant(const std::string& key, int ttl = 60, const std::string& value = "v") {
    return ask("POST", "/lease", R"({"key":")" + key + R"(","value":")" + value + R"("})",
               "x-lease-ttl: " + std::to_string(ttl) + "s\r\n");
  }
  TestResponse keep_alive(const std::string& id) { return ask("POST", "/keepalive", id); }

  // The lock API, in the namespace `space`.
  TestResponse acquire(const std::string& name, const std::string& instance, int duration = 60) {
    return change(name, "acquire",
                  R"({"instanceId":")" + instance + R"(","leaseDuration":)" + std::to_string(duration) + "}");
  }
  TestResponse renew(const std::string& name, const std::string& instance, int duration = 60) {
    return change(name, "renew",
                  R"({"instanceId":")" + instance + R"(","leaseDuration":)" + std::to_string(duration) + "}");
  }
  TestResponse release(const std::string& name, const std::string& instance) {
    return change(name, "release", R"({"instanceId":")" + instance + R"("})");
  }
  TestResponse look(const std::string& name) { return ask("GET", "/v1/space/lock/" + name); }

  TestResponse ready() { return ask("GET", "/ready"); }
  bool becomes_ready() {
    return eventually([this] { return ready().status == 200; }, std::chrono::seconds(30));
  }

  TestResponse ask(std::string_view method, std::string_view target, std::string_view body = {},
                   std::string_view headers = {}) {
    auto begin = std::chrono::steady_clock::now();
    auto response = server_.ask(method, target, body, headers);
    latest_ = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    slowest_ = std::max(slowest_, latest_);
    return response;
  }

  // The value of a metric, named with its labels as /metrics writes them; -1 when there is none.
  double metric(const std::string& name) {
    std::string text = ask("GET", "/metrics").body;
    auto at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  // How long the last answer took, and the slowest of all.
  std::chrono::milliseconds latest() const { return latest_; }
  std::chrono::milliseconds slowest() const { return slowest_; }

 private:
  TestResponse change(const std::string& name, const std::string& what, const std::string& body) {
    return ask("POST", "/v1/space/lock/" + name + "/" + what, body);
  }

  ServerProcess server_;
  std::chrono::milliseconds latest_{0};
  std::chrono::milliseconds slowest_{0};
};

}  // namespace sharedlock::test
