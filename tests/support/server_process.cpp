#include "support/server_process.h"

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "support/eventually.h"

namespace sharedlock::test {

namespace {

ProcessOptions serving(ProcessOptions options) {
  options.arguments.insert(options.arguments.begin(), {"serve", "--port", "0"});
  return options;
}

}  // namespace

ServerProcess::ServerProcess(ProcessOptions options) : process_(serving(std::move(options))) {
  bool ended = false;
  bool serves = eventually(
      [&] {
        ended = !process_.running();  // before its last words are read
        auto port = serving_port(process_.err());
        port_ = port.value_or(0);
        return port || ended;
      },
      std::chrono::seconds(30));
  if (!serves || port_ == 0) throw std::runtime_error("the server does not serve: " + process_.err());
}

Environment ServerProcess::open_memory(const Environment& more) {
  Environment environment{{"SHARED_LOCK_STORAGE_TYPE", "memory"},
                          {"AUTHENTICATION_DISABLED", "true"},
                          {"SHARED_LOCK_SERVER_ADDRESS", "127.0.0.1"}};
  for (const auto& [name, value] : more) environment[name] = value;
  return environment;
}

http::TestResponse ServerProcess::ask(std::string_view method, std::string_view target, std::string_view body,
                                      std::string_view headers) const {
  http::TestClient client(port_);
  return client.request(method, target, body, headers);
}

bool ServerProcess::says(std::string_view text) const {
  return eventually([&] { return process_.err().find(text) != std::string::npos; });
}

std::optional<int> ServerProcess::stop() {
  process_.signal(SIGTERM);
  return process_.wait();
}

std::optional<std::uint16_t> serving_port(std::string_view err) {
  std::size_t line = err.find("\"msg\":\"serving\"");
  if (line == std::string_view::npos) return std::nullopt;
  err = err.substr(line, err.find('\n', line) - line);
  constexpr std::string_view kMember = "\"port\":";
  std::size_t port = err.find(kMember);
  if (port == std::string_view::npos) return std::nullopt;
  return static_cast<std::uint16_t>(std::strtoul(std::string(err.substr(port + kMember.size())).c_str(), nullptr, 10));
}

}  // namespace sharedlock::test
