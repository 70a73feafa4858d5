// A client that vanishes without closing its connection: none of its entries stays in a queue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "support/asking.h"
#include "support/eventually.h"
#include "support/network.h"
#include "support/server_process.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;

constexpr const char* kLock = "/v1/space/lock/vanished";

std::string asked(const std::string& instance, int wait) {
  return R"({"instanceId":")" + instance + R"(","leaseDuration":300,"wait":)" + std::to_string(wait) + "}";
}

std::int64_t waiters(const ServerProcess& server) {
  std::string lock = server.ask("GET", kLock).body;
  auto at = lock.find(R"("waiters":)");
  return at == std::string::npos ? -1 : std::stoll(lock.substr(at + 10));
}

TEST(Vanished, SafetyR27_AWaiterWhoseMachineIsGoneLeavesWithinTwentySeconds) {
  enter_own_network();
  EtcdLan lan(1);
  ServerProcess server({.environment = ServerProcess::open_memory({{"SHARED_LOCK_SERVER_ADDRESS", "0.0.0.0"}})});
  ASSERT_EQ(server.ask("POST", std::string(kLock) + "/acquire", asked("instance-1", 0)).status, 200);

  auto place = lan.places().front();
  std::string url = "http://" + place.our_address + ":" + std::to_string(server.port()) + kLock + "/acquire";
  std::vector<std::string> arguments(place.launcher.begin() + 1, place.launcher.end());
  for (const std::string& argument :
       {std::string("/usr/bin/curl"), std::string("-sS"), std::string("-d"), asked("instance-2", 3600), url}) {
    arguments.push_back(argument);
  }
  Process far({.program = place.launcher.front(), .arguments = arguments});
  ASSERT_TRUE(eventually([&] { return waiters(server) == 1; })) << far.err();
  Asking near(server, std::string(kLock) + "/acquire", asked("instance-3", 3600));
  ASSERT_TRUE(eventually([&] { return waiters(server) == 2; }));

  lan.cut_from_us(0);
  auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([&] { return waiters(server) == 1; }, seconds(30)));
  EXPECT_LE(std::chrono::steady_clock::now() - begun, seconds(20));
  EXPECT_EQ(server.ask("POST", std::string(kLock) + "/release", R"({"instanceId":"instance-1"})").status, 200);
  EXPECT_EQ(near.answer().status, 200) << "nobody is before it any more";
}

}  // namespace
}  // namespace sharedlock::test
