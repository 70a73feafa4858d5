// A server that holds as many connections as it may.
#include <filesystem>
#include <list>
#include <optional>
#include <stdexcept>
#include <vector>

#include "hostile/under_attack.h"
#include "support/asking.h"
#include "support/eventually.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;

// Connections with requests that begin and never end.
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
    EXPECT_EQ(server.ask("GET", "/health").status, 200);  // so all before it are accepted
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

// A lock and a lease that are held, and clients that want to wait for the lock.
struct HeldAndWanted {
  explicit HeldAndWanted(const Environment& more, std::optional<std::uint64_t> files = {})
      : server({.environment = ServerProcess::open_memory(more), .hard_file_limit = files}),
        lease(server.ask("POST", "/lease", R"({"key":"held"})", "x-lease-ttl: 300s\r\n").body) {
    EXPECT_EQ(server.ask("POST", kLock + "/acquire", of("holder", R"("leaseDuration":300)")).status, 200);
  }
  static std::string of(const std::string& instance, const std::string& more) {
    return R"({"instanceId":")" + instance + (more.empty() ? "\"" : "\",") + more + "}";
  }

  // One after the other, so that the test knows which of them wait.
  void expect_so_many_to_wait(std::size_t count, std::size_t of_count) {
    for (std::size_t i = 1; i <= of_count; ++i) {
      const std::string wanted = of("other-" + std::to_string(i), R"("leaseDuration":9,"wait":60)");
      Asking& client = clients.emplace_back(server, kLock + "/acquire", wanted);
      if (i <= count) {
        const std::string stands = "\nshared_lock_lock_waiters " + std::to_string(i) + "\n";
        ASSERT_TRUE(eventually([&] { return server.ask("GET", "/metrics").body.find(stands) != std::string::npos; }));
        continue;
      }
      auto sent_away = client.answer();
      EXPECT_EQ(sent_away.status, 503);
      EXPECT_EQ(sent_away.header("Retry-After"), "1");
      EXPECT_EQ(sent_away.body, R"({"message":"Too many clients wait in line"})");
    }
  }

  // Everything that keeps or ends a holding, each on a connection of its own.
  void expect_holders_to_be_served() {
    EXPECT_EQ(server.ask("POST", kLock + "/renew", of("holder", R"("leaseDuration":300,"from":"now")")).status, 200);
    EXPECT_EQ(server.ask("POST", kLock + "/verify", R"({"fencingToken":1})").status, 200);
    const std::string set = R"({"names":["held"],"instanceId":"holder","leaseDuration":300})";
    EXPECT_EQ(server.ask("POST", "/v1/space/locks/renew", set).status, 200);
    EXPECT_EQ(server.ask("POST", "/keepalive", lease).status, 200);
    for (const char* path : {"/health", "/ready", "/metrics"}) EXPECT_EQ(server.ask("GET", path).status, 200) << path;
  }

  void expect_a_release_to_serve_the_next() {
    EXPECT_EQ(server.ask("POST", "/release", lease).status, 200);
    EXPECT_EQ(server.ask("POST", kLock + "/release", of("holder", "")).status, 200);
    EXPECT_EQ(clients.front().answer().status, 200);
  }

  int status_of_a_newcomer() {
    return server.ask("POST", "/v1/space/lock/free/acquire", of("x-1", R"("leaseDuration":9,"wait":60)")).status;
  }

  static inline const std::string kLock = "/v1/space/lock/held";
  ServerProcess server;
  std::string lease;
  std::list<Asking> clients;  // those that were sent away are still connected
};

TEST(FullServer, SafetyR36_WaitersTakeNoSlotsFromHolders) {
  for (const char* limit : {"SHARED_LOCK_MAX_REQUESTS_IN_FLIGHT", "SHARED_LOCK_MAX_CONNECTIONS"}) {
    SCOPED_TRACE(limit);
    HeldAndWanted scene(Environment{{limit, "8"}});
    scene.expect_so_many_to_wait(4, 8);
    scene.expect_holders_to_be_served();
    EXPECT_EQ(scene.status_of_a_newcomer(), 200);
    scene.expect_a_release_to_serve_the_next();
  }
}

// Even if the settings let so many clients wait that no connection is left.
TEST(FullServer, SafetyR36_HoldersAreServedEvenIfEveryConnectionWaits) {
  HeldAndWanted scene({{"SHARED_LOCK_MAX_CONNECTIONS", "8"}, {"SHARED_LOCK_MAX_WAITERS", "8"}});
  scene.expect_so_many_to_wait(8, 8);
  for (int i = 0; i < 100; ++i) scene.expect_holders_to_be_served();
  EXPECT_EQ(scene.status_of_a_newcomer(), 503);
  scene.expect_a_release_to_serve_the_next();
}

TEST(FullServer, SafetyR36_FewDescriptorsAndManyWaiters) {
  HeldAndWanted scene({}, 256);
  scene.expect_so_many_to_wait(64, 128);
  scene.expect_holders_to_be_served();
  EXPECT_EQ(scene.status_of_a_newcomer(), 200);
  scene.expect_a_release_to_serve_the_next();
}

TEST(FullServer, SafetyR36_ARequestServedAtOnceNeedsNoWaiterSlot) {
  HeldAndWanted scene(Environment{{"SHARED_LOCK_MAX_WAITERS", "2"}});
  scene.expect_so_many_to_wait(2, 3);
  EXPECT_EQ(scene.status_of_a_newcomer(), 200);
  const std::string both = R"({"names":["held","free"],"instanceId":"x-2","leaseDuration":9,"wait":60})";
  auto set = scene.server.ask("POST", "/v1/space/locks/acquire", both);
  EXPECT_EQ(set.status, 503);
  EXPECT_EQ(set.header("Retry-After"), "1");
  auto lease = scene.server.ask("POST", "/lease", R"({"key":"held"})", "x-lease-wait: 60s\r\n");
  EXPECT_EQ(lease.status, 503);
  EXPECT_EQ(lease.header("Retry-After"), "1");
  EXPECT_EQ(lease.body, "Too many clients wait in line");
  EXPECT_EQ(scene.server.ask("POST", "/lease", R"({"key":"free"})", "x-lease-wait: 60s\r\n").status, 201);
  EXPECT_EQ(scene.server.ask("POST", "/lease", R"({"key":"held"})").status, 202) << "who does not want to wait";
  scene.expect_a_release_to_serve_the_next();
  scene.clients.pop_back();
  Asking again(scene.server, "/lease", R"({"key":"free"})", "x-lease-wait: 60s\r\n");
  EXPECT_TRUE(again.is_silent()) << "there is a place again";
}

// One host that opens thousands of connections and sends a little on each.
TEST(FullServer, SafetyR36_ThousandsOfHalfOpenConnectionsKeepNoClientOut) {
  constexpr std::size_t kHalfOpen = 2500;
  allow_open_files(kHalfOpen + 100);
  ServerProcess server({.environment = ServerProcess::open_memory(
                            {{"SHARED_LOCK_MAX_CONNECTIONS", "1000"}, {"SHARED_LOCK_SERVER_READ_TIMEOUT", "10m"}})});
  std::vector<TestClient> crowd;
  for (int i = 0; i < 18; ++i) {
    for (auto& client : half_sent(server, kHalfOpen / 18)) crowd.push_back(std::move(client));
    EXPECT_EQ(server.ask("GET", "/health").status, 200) << i;
    EXPECT_EQ(server.ask("POST", "/lease", R"({"key":"k)" + std::to_string(i) + "\"}").status, 201) << i;
  }
  EXPECT_LE(open_sockets(server.process().pid()), 1010u);
}

// Bodies that are announced and never all sent.
TEST(FullServer, MemoryOfACrowdIsBoundedAndGivenBack) {
  constexpr std::size_t kCrowd = kFullSpeed ? 3000 : 600;
  constexpr std::size_t kBody = 52'000;
  constexpr std::size_t kBound = std::size_t{32} << 20;
  allow_open_files(kCrowd + 100);
  ServerProcess server(
      {.environment = ServerProcess::open_memory(
           {{"SHARED_LOCK_MAX_BUFFERED_BYTES", std::to_string(kBound)}, {"SHARED_LOCK_SERVER_READ_TIMEOUT", "10m"}})});
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  pid_t pid = server.process().pid();
  const std::size_t before = resident_bytes(pid);
  const std::string half = post_head("/lease", "Content-Length: 60000\r\n") + std::string(kBody, ' ');
  {
    std::vector<TestClient> crowd;
    for (std::size_t i = 0; i < kCrowd; ++i) {
      crowd.push_back(server.connect());
      crowd.back().send_until_closed(half);
    }
    EXPECT_EQ(server.ask("POST", "/lease", R"({"key":"meanwhile"})").status, 201);
    // Each has 8 KiB of its request besides, what a connection takes, and what the allocator rounds up.
    std::size_t grown = most_resident_bytes(pid) - before;
    RecordProperty("bytes", static_cast<int>(grown));
    if (kFullSpeed) {
      EXPECT_LE(grown, 2 * kBound + kCrowd * 24 * 1024);
    }
  }
  // Sanitizers keep what is freed.
  if (kFullSpeed) {
    EXPECT_TRUE(eventually([&] { return resident_bytes(pid) < before + (std::size_t{16} << 20); }))
        << resident_bytes(pid) - before;
  }
  EXPECT_EQ(server.ask("POST", "/lease", R"({"key":"afterwards"})").status, 201);
}

TEST(FullServer, ALimitThatFitsIsKept) {
  ServerProcess server(
      {.environment = ServerProcess::open_memory({{"SHARED_LOCK_MAX_CONNECTIONS", "100"}}), .hard_file_limit = 1000});
  EXPECT_THAT(server.err(), HasSubstr(R"("connections":100,)"));
  EXPECT_THAT(server.err(), testing::Not(HasSubstr("fewer connections")));
}

}  // namespace
}  // namespace sharedlock::test
