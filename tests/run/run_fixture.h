#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "run/commands.h"
#include "support/server_process.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {

// `shared-lock run` under the name "demo" against a server of its own.
class RunTest : public testing::Test {
 protected:
  // The least TTL, and when a command without renewals is dead.
  static constexpr double kTtl = 5;
  static constexpr double kKilledAfter = 4;

  void TearDown() override {
    commands.create("end");
    if (HasFailure()) std::printf("%s\n%s\n", server->err().c_str(), commands.text("ticks").c_str());
  }

  static ProcessOptions serving(const TemporaryDirectory& data) {
    return {.environment = ServerProcess::open_memory({{"SHARED_LOCK_STORAGE_TYPE", "embedded"},
                                                       {"SHARED_LOCK_DATA_DIR", data / "data"},
                                                       {"SHARED_LOCK_ADMIN_TOKEN", "the-token-of-the-admin"}})};
  }
  ProcessOptions run_of(std::vector<std::string> arguments) const {
    return running("http://127.0.0.1:" + std::to_string(server->port()), std::move(arguments));
  }
  ProcessOptions shell(const std::string& text, std::vector<std::string> flags = {"--ttl", "5s"}) const {
    std::vector<std::string> arguments{"demo"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.insert(arguments.end(), {"--", "/bin/sh", "-c", text});
    return run_of(std::move(arguments));
  }
  // The same, started by a parent that ignores that signal.
  static ProcessOptions ignoring(const std::string& signal, ProcessOptions options) {
    options.arguments.insert(options.arguments.begin(), {"--ignore-signal=" + signal, SHAREDLOCK_PROGRAM});
    options.program = "/usr/bin/env";
    return options;
  }
  int exit_code(std::vector<std::string> arguments) const {
    return run_program(run_of(std::move(arguments))).exit_code;
  }
  // The runner's only child.
  static pid_t guard_of(const Process& run) {
    std::string id = std::to_string(run.pid());
    pid_t guard = -1;
    std::ifstream("/proc/" + id + "/task/" + id + "/children") >> guard;
    return guard;
  }
  static double processor_seconds(const Process& run) {
    std::string text;
    std::getline(std::ifstream("/proc/" + std::to_string(run.pid()) + "/stat"), text);
    std::istringstream words(text.substr(text.rfind(')')));
    std::vector<std::string> all{std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
    return static_cast<double>(std::stoll(all.at(12)) + std::stoll(all.at(13))) /
           static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  std::string look() const { return server->ask("GET", "/v1/default/lock/demo").body; }
  int force_release() const {
    const char* headers = "X-Admin-Token: the-token-of-the-admin\r\nX-Reason: test\r\n";
    return server->ask("DELETE", "/v1/default/lock/demo", "", headers).status;
  }
  bool is_queued(int count) const { return look().find("\"waiters\":" + std::to_string(count)) != std::string::npos; }
  bool is_held() const { return look().find("owner") != std::string::npos; }

  TemporaryDirectory data;
  Commands commands;
  std::optional<ServerProcess> server{serving(data)};
};

}  // namespace sharedlock::test
