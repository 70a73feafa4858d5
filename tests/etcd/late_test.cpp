// Requests that reach etcd long after our server has given them up and gone another way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/slow_link.h"

namespace sharedlock::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Longer than the first attempt of a call waits, and than the actions of a test in between take.
constexpr milliseconds kLate{2500};

class EtcdLate : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(service.becomes_ready()) << service.server().err();
    ASSERT_EQ(service.acquire("before", "instance-1").status, 200);
  }

  // Everything sent over the link from now on arrives late; a first request checks that.
  void delay() {
    delivered = link.delivered();
    link.delay_requests(kLate);
    since = std::chrono::steady_clock::now();
  }

  // All that was sent by now has arrived, and etcd has done it.
  void expect_that_it_arrives() {
    link.delay_requests(milliseconds(0));
    auto until = std::chrono::steady_clock::now() + kLate;
    EXPECT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > until; }));
    EXPECT_GT(link.delivered(), delivered);
    EXPECT_EQ(service.acquire("after", "instance-1").status, 200);
  }

  EtcdServer etcd;
  SlowLink link{EtcdServer::address(), etcd.member(0).port()};
  ServiceOnEtcd service{link.url() + "," + etcd.endpoints()};
  std::uint64_t delivered = 0;
  std::chrono::steady_clock::time_point since;
};

TEST_F(EtcdLate, SafetyR06_AnAcquireDoesNotTakeTheLockAgainAfterItsRelease) {
  delay();
  ASSERT_EQ(service.acquire("late", "instance-1").status, 200);
  EXPECT_GE(service.latest(), milliseconds(500)) << "its first attempt had no answer";
  ASSERT_EQ(service.release("late", "instance-1").status, 200);
  ASSERT_LT(std::chrono::steady_clock::now() - since, kLate);
  expect_that_it_arrives();
  EXPECT_FALSE(stored(etcd, "locks/space:late").found);
}

TEST_F(EtcdLate, SafetyR06_ARefusedTryDoesNotTakeTheLockLater) {
  ServiceOnEtcd other(etcd);
  ASSERT_TRUE(other.becomes_ready());
  delay();
  auto refused = std::async(std::launch::async, [&] { return service.acquire("late", "instance-1"); });
  ASSERT_TRUE(eventually([&] { return other.acquire("late", "instance-2").status == 200; }));
  EXPECT_EQ(refused.get().status, 423);
  ASSERT_EQ(other.release("late", "instance-2").status, 200);
  ASSERT_LT(std::chrono::steady_clock::now() - since, kLate);
  expect_that_it_arrives();
  EXPECT_FALSE(stored(etcd, "locks/space:late").found);
}

TEST_F(EtcdLate, AServerThatEndsLeavesNoEpoch) {
  const std::vector<std::string> epochs{"get", "--prefix", "--keys-only", "/shared-lock.meta/epochs/"};
  EXPECT_NE(etcd.etcdctl(epochs), "");
  EXPECT_EQ(service.server().stop(), 0);
  EXPECT_EQ(etcd.etcdctl(epochs), "");
}

TEST_F(EtcdLate, WhenItsEpochIsGoneAServerBeginsAnother) {
  etcd.etcdctl({"del", "--prefix", "/shared-lock.meta/epochs/"});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(service.acquire("other-" + std::to_string(i), "instance-1").status, 200);
    EXPECT_EQ(service.renew("other-" + std::to_string(i), "instance-1").status, 200);
  }
  EXPECT_EQ(service.grant("other").status, 201);
  EXPECT_THAT(etcd.etcdctl({"get", "--prefix", "--keys-only", "/shared-lock.meta/epochs/"}), testing::Ne(""));
}

}  // namespace
}  // namespace sharedlock::test
