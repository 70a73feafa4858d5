// A server that holds as many connections as it may.
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "hostile/under_attack.h"
#include "support/eventually.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;

// Connections whose requests are begun and never end.
std::vector<TestClient> half_sent(const ServerProcess& server, std::size_t count) {
  std::vector<TestClient> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(server.connect());
    clients.back().send_until_closed("POST /lease HTTP/1.1\r\nHost: h\r\nX: ");
  }
  return clients;
}

std::size_t tables(const std::filesystem::path& directory) {
  std::size_t count = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    if (file.path().extension() == ".sst") ++count;
  }
  return count;
}

Environment embedded_in(const TemporaryDirectory& directory, const Environment& more = {}) {
  Environment environment = ServerProcess::open_memory(more);
  environment["SHARED_LOCK_STORAGE_TYPE"] = "embedded";
  environment["SHARED_LOCK_DATA_DIR"] = (directory / "data").string();
  environment["SHARED_LOCK_SERVER_READ_TIMEOUT"] = "10m";
  return environment;
}

bool is_ready(const ServerProcess& server) {
  try {
    return server.ask("GET", "/ready").status == 200;
  } catch (const std::runtime_error&) {
    return false;  // turned away without a word
  }
}

// RocksDB opens files when it flushes; one that it can't open ends all writing until a restart.
void expect_the_store_to_flush_while_full(const TemporaryDirectory& directory, const Environment& more) {
  constexpr std::size_t kFiles = 300;
  ServerProcess server({.environment = embedded_in(directory, more), .hard_file_limit = kFiles});
  EXPECT_EQ(server.ask("GET", "/ready").status, 200);
  std::vector<TestClient> crowd;
  {
    auto leaving = half_sent(server, 4);
    crowd = half_sent(server, 2 * kFiles);
    server.connect().read_to_end();  // turned away, so all before it are accepted
  }
  ASSERT_TRUE(eventually([&] { return is_ready(server); })) << "there is room again";
  TestClient good = server.connect();
  const std::string value(60'000, 'v');
  const std::size_t before = tables(directory / "data");
  bool flushed = false;
  // A write buffer holds 32 MiB, which is 560 of these.
  for (int i = 0; i < 1500 && !flushed; ++i) {
    auto granted = good.request("POST", "/lease", R"({"key":")" + std::to_string(i) + R"(","value":")" + value + "\"}");
    ASSERT_EQ(granted.status, 201) << i << "\n" << server.err();
    flushed = tables(directory / "data") > before;
  }
  EXPECT_TRUE(flushed);
  EXPECT_EQ(good.request("POST", "/lease", R"({"key":"afterwards"})").status, 201);
  EXPECT_EQ(good.request("GET", "/ready").status, 200);
  EXPECT_LT(open_files(server.process().pid()), kFiles - 30) << "some are left";
}

TEST(FullServer, ConnectionsLeaveTheStoreItsFileDescriptors) {
  TemporaryDirectory directory;
  expect_the_store_to_flush_while_full(directory, {});
}

TEST(FullServer, ALimitThatDoesNotFitIsLoweredAndLogged) {
  TemporaryDirectory directory;
  expect_the_store_to_flush_while_full(directory, {{"SHARED_LOCK_MAX_CONNECTIONS", "100000"}});
  ServerProcess server(
      {.environment = ServerProcess::open_memory({{"SHARED_LOCK_MAX_CONNECTIONS", "1000"}}), .hard_file_limit = 1000});
  EXPECT_THAT(server.err(), HasSubstr(R"("msg":"fewer connections fit)"));
  EXPECT_THAT(server.err(), HasSubstr(R"("wanted":1000)"));
}

TEST(FullServer, HealthChecksGetInAmongSilentConnections) {
  ServerProcess server({.environment = ServerProcess::open_memory({{"SHARED_LOCK_MAX_CONNECTIONS", "20"}})});
  std::vector<TestClient> silent;
  for (int i = 0; i < 200; ++i) {
    silent.push_back(server.connect());
    if (i % 20 != 19) continue;
    for (const char* path : {"/health", "/ready", "/metrics"}) EXPECT_EQ(server.ask("GET", path).status, 200) << path;
  }
  EXPECT_LE(open_sockets(server.process().pid()), 22u);
}

TEST(FullServer, ALimitThatFitsIsKept) {
  ServerProcess server(
      {.environment = ServerProcess::open_memory({{"SHARED_LOCK_MAX_CONNECTIONS", "100"}}), .hard_file_limit = 1000});
  EXPECT_THAT(server.err(), HasSubstr(R"("connections":100,)"));
  EXPECT_THAT(server.err(), testing::Not(HasSubstr("fewer connections")));
}

}  // namespace
}  // namespace sharedlock::test
