#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "crash/data_directory.h"
#include "support/server_process.h"

// What tests of a data directory ask of the server on it.
namespace sharedlock::test::data_dir {

// Keeps a server from starting, and what it says then.
inline Ended refused_start(const std::filesystem::path& directory) {
  ProcessOptions options = embedded_in(directory);
  options.arguments = {"serve", "--port", "0"};
  return run_program(options);
}

// A start that is refused is exit code 1 and one sentence, which names the directory.
inline void expect_refused(const std::filesystem::path& directory, const std::string& why) {
  Ended ended = refused_start(directory);
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, testing::AllOf(testing::StartsWith("shared-lock: "), testing::HasSubstr(directory.string()),
                                        testing::HasSubstr(why)));
  EXPECT_THAT(ended.err, testing::MatchesRegex("[^\n]*\n")) << "one line";
  EXPECT_EQ(ended.out, "");
}

// The id of a lease of an hour; "" when it was not granted.
inline std::string grant(const ServerProcess& server, const std::string& key, const std::string& value = "v") {
  auto response =
      server.ask("POST", "/lease", R"({"key":")" + key + R"(","value":")" + value + "\"}", "x-lease-ttl: 1h\r\n");
  return response.status == 201 ? response.body : "";
}

inline int held(const ServerProcess& server, const std::vector<std::string>& leases) {
  int count = 0;
  auto client = server.connect();
  for (const std::string& lease : leases) count += client.request("POST", "/keepalive", lease).status == 200;
  return count;
}

}  // namespace sharedlock::test::data_dir
