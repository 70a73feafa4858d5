// Several locks at once on etcd, with clients on two servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "etcd/service_on_etcd.h"
#include "support/asking.h"
#include "support/set_clients.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

constexpr const char* kAcquire = "/v1/space/locks/acquire";

class EtcdSets : public testing::Test {
 protected:
  void SetUp() override {
    for (ServiceOnEtcd* service : {&one, &two}) ASSERT_TRUE(service->becomes_ready()) << service->server().err();
  }

  static std::string asked(const std::string& names, const std::string& instance, int wait = 0) {
    return R"({"names":[)" + names + R"(],"instanceId":")" + instance + R"(","leaseDuration":60,"wait":)" +
           std::to_string(wait) + "}";
  }
  bool in_queue(const std::string& name) { return two.look(name).body.find(R"("waiters":1)") != std::string::npos; }

  EtcdServer etcd{{.members = 1}};
  ServiceOnEtcd one{etcd};
  ServiceOnEtcd two{etcd};
};

TEST_F(EtcdSets, TheLargestSetFitsIntoOneTransactionOfEtcd) {
  std::string names = R"("name-1")";
  for (int i = 2; i <= 32; ++i) names += R"(,"name-)" + std::to_string(i) + '"';
  EXPECT_EQ(one.acquire("name-17", "instance-1").status, 200);
  EXPECT_EQ(one.ask("POST", kAcquire, asked(names, "instance-2")).body, R"({"success":false,"blockedBy":["name-17"]})");
  Asking waiting(one.server(), kAcquire, asked(names, "instance-2", 60));
  EXPECT_TRUE(eventually([&] { return in_queue("name-17"); }));
  EXPECT_EQ(two.release("name-17", "instance-1").status, 200);
  auto granted = waiting.answer();
  EXPECT_EQ(granted.status, 200) << granted.body;
  EXPECT_THAT(granted.body, HasSubstr(R"({"lockName":"name-32","fencingToken":)"));
  std::string again = R"({"names":[)" + names + R"(],"instanceId":"instance-2","leaseDuration":60})";
  EXPECT_EQ(two.ask("POST", "/v1/space/locks/renew", again).status, 200);
  std::string release = R"({"names":[)" + names + R"(],"instanceId":"instance-2"})";
  EXPECT_EQ(two.ask("POST", "/v1/space/locks/release", release).status, 200);
  EXPECT_EQ(etcd.etcdctl({"get", "--prefix", "locks/"}), "");
}

TEST_F(EtcdSets, AWaitingSetOnAnotherServerIsNotOvertaken) {
  ASSERT_EQ(one.acquire("busy", "instance-1").status, 200);
  Asking waiting(one.server(), kAcquire, asked(R"("busy","idle")", "instance-2", 60));
  EXPECT_TRUE(eventually([&] { return in_queue("busy"); }));
  EXPECT_EQ(two.acquire("idle", "instance-3").status, 423);
  EXPECT_EQ(two.ask("POST", kAcquire, asked(R"("idle","other")", "instance-3")).body,
            R"({"success":false,"blockedBy":["idle"]})");
  EXPECT_EQ(two.release("busy", "instance-1").status, 200);
  EXPECT_EQ(waiting.answer().status, 200);
}

// R23: its entries stand in both queues, and all of them go.
TEST_F(EtcdSets, SafetyR23_ASetOfAHangingServerIsPassedInAllItsQueues) {
  ASSERT_EQ(two.acquire("still-1", "instance-1").status, 200);
  Asking first(one.server(), kAcquire, asked(R"("still-1","still-2")", "instance-2", 60));
  EXPECT_TRUE(eventually([&] { return in_queue("still-1"); }));
  Asking second(two.server(), kAcquire, asked(R"("still-2","still-1")", "instance-3", 60));
  EXPECT_TRUE(second.is_silent());
  one.process().stop();
  ASSERT_EQ(two.release("still-1", "instance-1").status, 200);
  EXPECT_EQ(second.answer().status, 200);
  one.process().resume();
  EXPECT_TRUE(first.is_silent(300));
  std::string release = R"({"names":["still-1","still-2"],"instanceId":"instance-3"})";
  ASSERT_EQ(two.ask("POST", "/v1/space/locks/release", release).status, 200);
  EXPECT_EQ(first.answer().status, 200) << "it has joined again";
}

TEST_F(EtcdSets, SafetyR25_RandomOverlappingSetsAreNeverPartialAndNeverStuck) {
  constexpr int kClients = 10;
  constexpr int kTurns = 40;
  SetClients clients({&one.server(), &two.server()}, kClients, kTurns);
  EXPECT_EQ(clients.seen().taken, kClients * kTurns);
  EXPECT_EQ(clients.seen().two_inside, 0);
  EXPECT_EQ(clients.seen().tokens_fell, 0);
  EXPECT_EQ(clients.seen().partial, 0);
  EXPECT_EQ(clients.seen().other_answers, 0);
}

}  // namespace
}  // namespace sharedlock::test
