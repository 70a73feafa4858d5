// Waiting in the queue on etcd, with clients on two servers: one queue for all, whatever dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <deque>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/asking.h"

namespace sharedlock::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

std::string asked(const std::string& instance, int duration, int wait) {
  return R"({"instanceId":")" + instance + R"(","leaseDuration":)" + std::to_string(duration) + R"(,"wait":)" +
         std::to_string(wait) + "}";
}

std::int64_t waiters(ServiceOnEtcd& service, const std::string& name) {
  std::string lock = service.look(name).body;
  auto at = lock.find(R"("waiters":)");
  return at == std::string::npos ? -1 : std::stoll(lock.substr(at + 10));
}

Asking asking_for(ServiceOnEtcd& service, const std::string& name, const std::string& instance, int wait = 300,
                  int duration = 300) {
  return Asking(service.server(), "/v1/space/lock/" + name + "/acquire", asked(instance, duration, wait));
}

std::string number_of(int i) {
  return "instance-" + std::to_string(i);
}

class EtcdWaiting : public testing::Test {
 protected:
  explicit EtcdWaiting(std::size_t members = 1) : etcd({.members = members}) {}
  void SetUp() override {
    for (ServiceOnEtcd* service : {&one, &two}) ASSERT_TRUE(service->becomes_ready()) << service->server().err();
  }
  void TearDown() override {
    if (HasFailure()) std::printf("%s\n%s\n", one.server().err().c_str(), two.server().err().c_str());
  }
  Asking waiting(ServiceOnEtcd& service, const std::string& name, const std::string& instance) {
    std::int64_t before = waiters(service, name);
    Asking asking = asking_for(service, name, instance);
    EXPECT_TRUE(eventually([&] { return waiters(service, name) == before + 1; }, seconds(20)));
    return asking;
  }

  EtcdServer etcd;
  ServiceOnEtcd one{etcd};
  ServiceOnEtcd two{etcd};
};

class EtcdWaitingCluster : public EtcdWaiting {
 protected:
  EtcdWaitingCluster() : EtcdWaiting(3) {}
};

TEST_F(EtcdWaiting, TheSecondOnAnotherServerHasItWhenTheFirstReleases) {
  ASSERT_EQ(one.acquire("handed", "instance-1").status, 200);
  Asking second = waiting(two, "handed", "instance-2");
  EXPECT_TRUE(second.is_silent());
  ASSERT_EQ(one.release("handed", "instance-1").status, 200);
  auto granted = second.answer();
  EXPECT_EQ(granted.status, 200) << granted.body;
  EXPECT_EQ(waiters(one, "handed"), 0);
}

TEST_F(EtcdWaiting, SafetyR21_TheQueueIsKeptInEtcd) {
  ASSERT_EQ(one.acquire("stored", "instance-1").status, 200);
  Asking second = waiting(two, "stored", "instance-2");
  std::string places = etcd.etcdctl({"get", "--prefix", "locks/.queue/space:stored/"});
  EXPECT_THAT(places, HasSubstr(R"({"owner":"anonymous","instance":")"));
  EXPECT_THAT(places, HasSubstr(R"("names":["space:stored"]})"));
  EXPECT_THAT(places, testing::Not(HasSubstr("instance-2"))) << "who waits is no secret, how to act as him is";
}

TEST_F(EtcdWaiting, GrantsFollowTheOrderOfJoiningAcrossServers) {
  ASSERT_EQ(one.acquire("order", number_of(0)).status, 200);
  std::deque<Asking> line;
  for (int i = 1; i <= 12; ++i) line.push_back(waiting(i % 3 == 0 ? one : two, "order", number_of(i)));
  for (int i = 1; i <= 12; ++i) {
    ASSERT_EQ(two.release("order", number_of(i - 1)).status, 200);
    auto granted = line.front().answer();
    ASSERT_EQ(granted.status, 200);
    EXPECT_THAT(granted.body, HasSubstr("\"" + number_of(i) + "\""));
    line.pop_front();
    for (Asking& other : line) EXPECT_TRUE(other.is_silent(0));
  }
}

TEST_F(EtcdWaiting, NoRequestOvertakesOnAnotherServer) {
  ASSERT_EQ(one.acquire("fair", number_of(0)).status, 200);
  for (int i = 1; i <= 30; ++i) {
    Asking next = waiting(one, "fair", number_of(i));
    ASSERT_EQ(two.release("fair", number_of(i - 1)).status, 200);
    EXPECT_EQ(two.acquire("fair", "newcomer").status, 423);
    EXPECT_EQ(next.answer().status, 200);
  }
}

TEST_F(EtcdWaiting, TheNewerOfTwoRequestsTakesOverTheEntryOnAnotherServerToo) {
  ASSERT_EQ(one.acquire("twice", "instance-1").status, 200);
  Asking older = waiting(one, "twice", "instance-2");
  Asking other = waiting(one, "twice", "instance-3");
  Asking newer = asking_for(two, "twice", "instance-2");
  EXPECT_EQ(older.answer().status, 409);
  EXPECT_EQ(waiters(one, "twice"), 2);
  ASSERT_EQ(one.release("twice", "instance-1").status, 200);
  EXPECT_EQ(newer.answer().status, 200) << "before the one that came between";
  EXPECT_TRUE(other.is_silent());
  ASSERT_EQ(one.release("twice", "instance-2").status, 200);
  EXPECT_EQ(other.answer().status, 200);
}

TEST_F(EtcdWaiting, AClientThatDisconnectsLeavesTheQueue) {
  ASSERT_EQ(one.acquire("left", "instance-1").status, 200);
  Asking second = waiting(one, "left", "instance-2");
  Asking third = waiting(two, "left", "instance-3");
  second.disconnect();
  EXPECT_TRUE(eventually([&] { return waiters(one, "left") == 1; }));
  ASSERT_EQ(two.release("left", "instance-1").status, 200);
  EXPECT_EQ(third.answer().status, 200);
}

TEST_F(EtcdWaiting, TheWaitersOfAServerThatDiesGoWithItsSession) {
  ASSERT_EQ(two.acquire("orphaned", "instance-1").status, 200);
  Asking first = waiting(one, "orphaned", "instance-2");
  Asking second = waiting(two, "orphaned", "instance-3");
  one.process().signal(SIGKILL);
  ASSERT_EQ(two.release("orphaned", "instance-1").status, 200);
  auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(second.answer().status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(15)) << "8 s, and what etcd adds";
}

// R23: its session still lives, since etcd keeps it for 8 s, and longer if the leader changes.
TEST_F(EtcdWaiting, SafetyR23_AHeadOfAHangingServerIsPassed) {
  ASSERT_EQ(two.acquire("still", "instance-1").status, 200);
  Asking first = waiting(one, "still", "instance-2");
  Asking second = waiting(two, "still", "instance-3");
  one.process().stop();
  ASSERT_EQ(two.release("still", "instance-1").status, 200);
  auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(second.answer().status, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(5));
  one.process().resume();
  EXPECT_TRUE(first.is_silent(300));
  ASSERT_EQ(two.release("still", "instance-3").status, 200);
  EXPECT_EQ(first.answer().status, 200) << "it has joined again";
}

TEST_F(EtcdWaiting, SafetyR24_AServerThatLostItsSessionJoinsAgainInOrder) {
  ASSERT_EQ(two.acquire("rejoined", number_of(0)).status, 200);
  std::deque<Asking> line;
  for (int i = 1; i <= 5; ++i) line.push_back(waiting(one, "rejoined", number_of(i)));
  one.process().stop();
  ASSERT_TRUE(eventually([&] { return waiters(two, "rejoined") == 0; }, seconds(30))) << "the session has ended";
  one.process().resume();
  ASSERT_TRUE(eventually([&] { return waiters(two, "rejoined") == 5; }, seconds(20)));
  for (int i = 1; i <= 5; ++i) {
    ASSERT_EQ(two.release("rejoined", number_of(i - 1)).status, 200);
    auto granted = line.front().answer();
    EXPECT_THAT(granted.body, HasSubstr("\"" + number_of(i) + "\""));
    line.pop_front();
  }
}

TEST_F(EtcdWaiting, ARecordWithoutLeaseIsTakenOverByTheFirstWaiter) {
  // As the Java service writes it, but without a lease: nothing will ever end it by itself.
  std::string record =
      R"({"namespace":"space","lockName":"no-lease","owner":"o","instanceId":"java-1","leaseDuration":1,"expiry":1700000000})";
  etcd.etcdctl({"put", "locks/space:no-lease", record});
  Asking waiting = asking_for(one, "no-lease", "instance-2");
  EXPECT_EQ(waiting.answer().status, 200) << "10 s after it was first seen";
}

TEST_F(EtcdWaitingCluster, TheLeaderIsKilledWhileClientsOfTwoServersWait) {
  ASSERT_EQ(one.acquire("leader", number_of(0), 120).status, 200);
  std::deque<Asking> line;
  for (int i = 1; i <= 6; ++i) line.push_back(waiting(i % 2 == 0 ? one : two, "leader", number_of(i)));
  std::size_t leader = etcd.leader();
  etcd.member(leader).kill();
  std::vector<std::string> order;
  for (int i = 0; i <= 6; ++i) {
    EXPECT_TRUE(eventually(
        [&] {
          int status = one.release("leader", number_of(i)).status;
          return status == 200 && one.look("leader").body.find("\"" + number_of(i) + "\"") == std::string::npos;
        },
        seconds(20)));
    if (i == 6) break;
    auto granted = line.front().answer();
    EXPECT_EQ(granted.status, 200) << granted.body;
    EXPECT_THAT(granted.body, HasSubstr("\"" + number_of(i + 1) + "\""));
    line.pop_front();
  }
  etcd.member(leader).start();
}

}  // namespace
}  // namespace sharedlock::test
