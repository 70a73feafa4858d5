// An etcd of three members that are stopped, killed and cut off. With one member failing, clients are served; with two
// failing, they get an error in time; and nothing is granted twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/network.h"

namespace sharedlock::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AnyOf;
using testing::Le;
using testing::Ne;

// A member that does not answer costs a request one attempt, of at most a second.
constexpr milliseconds kGotAround{2500};

class EtcdCluster : public testing::Test {
 protected:
  // Elections as etcd has them by default.
  explicit EtcdCluster(std::vector<EtcdPlace> places = {}) : etcd({.members = 3, .places = std::move(places)}) {}
  void SetUp() override { ASSERT_TRUE(service.becomes_ready()) << service.server().err(); }
  void TearDown() override {
    EXPECT_THAT(service.slowest(), Le(kAnswered));
    if (HasFailure()) std::printf("%s\n%s\n", service.server().err().c_str(), etcd.logs().c_str());
  }

  // Expects service from now on, after at most a few requests that were answered with an error.
  void expect_service_soon(const std::string& name) {
    EXPECT_TRUE(eventually([&] { return service.acquire(name, "instance-1").status == 200; }, seconds(20)));
    EXPECT_EQ(service.acquire(name, "instance-2").status, 423);
    EXPECT_EQ(service.renew(name, "instance-1").status, 200);
    auto granted = service.grant(name);
    EXPECT_EQ(granted.status, 201) << granted.body;
    EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  }

  EtcdServer etcd;
  ServiceOnEtcd service{etcd};
};

TEST_F(EtcdCluster, OneOfThreeIsStopped) {
  auto granted = service.grant("held", 60);
  ASSERT_EQ(granted.status, 201);
  for (std::size_t stopped = 0; stopped < etcd.size(); ++stopped) {
    bool leads = etcd.leader() == stopped;
    etcd.member(stopped).stop();
    if (!leads) {
      EXPECT_EQ(service.acquire("at-once-" + std::to_string(stopped), "instance-1").status, 200);
      EXPECT_THAT(service.latest(), Le(kGotAround));
    }
    expect_service_soon("stopped-" + std::to_string(stopped));
    EXPECT_EQ(service.keep_alive(granted.body).status, 200);
    EXPECT_EQ(service.grant("held").status, 202);
    etcd.member(stopped).resume();
    ASSERT_TRUE(eventually([&] { return etcd.answers(stopped); }));
  }
}

TEST_F(EtcdCluster, ReadinessAloneMovesOffAMemberThatHangs) {
  std::size_t used = etcd.follower();
  std::string endpoints = etcd.member(used).url();
  for (std::size_t i = 1; i < etcd.size(); ++i) endpoints += "," + etcd.member((used + i) % etcd.size()).url();
  ServiceOnEtcd other(endpoints);
  ASSERT_TRUE(other.becomes_ready());
  etcd.member(used).stop();
  auto ready = other.ready();
  EXPECT_EQ(ready.status, 200) << ready.body;
  EXPECT_EQ(other.ready().status, 200);
  EXPECT_THAT(other.latest(), Le(milliseconds(300))) << "it is not asked again";
}

TEST_F(EtcdCluster, TheLeaderIsKilled) {
  auto granted = service.grant("held", 60);
  ASSERT_EQ(service.acquire("held", "instance-1").status, 200);
  etcd.member(etcd.leader()).kill();
  expect_service_soon("killed");
  EXPECT_EQ(service.grant("held").status, 202);
  EXPECT_EQ(service.acquire("held", "instance-2").status, 423);
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(service.renew("held", "instance-1").status, 200);
}

TEST_F(EtcdCluster, TheQuorumIsLostAndComesBack) {
  auto granted = service.grant("held", 60);
  ASSERT_EQ(service.acquire("held", "instance-1").status, 200);
  std::size_t first = etcd.leader();
  std::size_t second = (first + 1) % 3;
  etcd.member(first).kill();
  etcd.member(second).kill();
  EXPECT_EQ(service.grant("no-quorum").status, 500);
  EXPECT_EQ(service.acquire("no-quorum", "instance-1").status, 503);
  EXPECT_EQ(service.look("held").status, 503) << "no answer from a member that can't know";
  EXPECT_EQ(service.ready().status, 503);
  EXPECT_EQ(service.keep_alive(granted.body).status, 500);
  etcd.member(first).start();
  ASSERT_TRUE(service.becomes_ready());
  expect_service_soon("quorum");
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(service.renew("held", "instance-1").status, 200);
}

TEST_F(EtcdCluster, ThirtyKeepalivesAcrossAChangeOfLeader) {
  auto granted = service.grant("kept", 6);
  ASSERT_EQ(granted.status, 201);
  int renewed = 0;
  auto next = std::chrono::steady_clock::now();
  for (int i = 0; i < 30; ++i) {
    if (i == 10) etcd.member(etcd.leader()).kill();
    int status = service.keep_alive(granted.body).status;
    EXPECT_THAT(status, AnyOf(200, 500)) << "the " << i << "th";
    renewed += status == 200 ? 1 : 0;
    next += milliseconds(300);
    (void)eventually([&] { return std::chrono::steady_clock::now() >= next; });
  }
  EXPECT_GE(renewed, 25);
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(service.grant("kept").status, 202);
}

TEST_F(EtcdCluster, SlowProposalsAreWaitedFor) {
  // Both followers answer only in one of four tenths of a second.
  std::string pids;
  for (std::size_t i = 0; i < 3; ++i) {
    if (i != etcd.leader()) pids += " " + std::to_string(etcd.member(i).pid());
  }
  Process brake(
      {.program = "/bin/sh",
       .arguments = {"-c", "while kill -STOP" + pids + "; do sleep 0.3; kill -CONT" + pids + "; sleep 0.1; done"}});
  for (int i = 0; i < 5; ++i) {
    std::string name = "slow-" + std::to_string(i);
    EXPECT_EQ(service.acquire(name, "instance-1").status, 200);
    EXPECT_EQ(service.acquire(name, "instance-2").status, 423);
    EXPECT_EQ(service.grant(name).status, 201);
  }
  brake.signal(SIGKILL);
  brake.wait();
  for (std::size_t i = 0; i < 3; ++i) etcd.member(i).resume();
}

TEST_F(EtcdCluster, SafetyR03_WhatFailedOrIsUnknownLeavesNoLeaseBehind) {
  const int ttl = 3;
  ASSERT_EQ(service.grant("mine", 60).status, 201);
  std::size_t leader = etcd.leader();
  for (int i = 0; i < 10; ++i) {
    if (i == 3) etcd.member(leader).stop();
    std::string name = "ghost-" + std::to_string(i);
    (void)service.grant(name, ttl);
    (void)service.acquire(name, "instance-1", ttl);
    (void)service.grant("mine", ttl);
    if (i == 6) etcd.member(leader).resume();
  }
  auto all_end = [&] {
    return etcd.etcdctl({"get", "--prefix", "--keys-only", "locks/"}).empty() && etcd.leases().size() <= 2;
  };
  EXPECT_TRUE(eventually(all_end, seconds(20))) << etcd.etcdctl({"lease", "list"});
}

class EtcdNetwork : public testing::Test {
 protected:
  void SetUp() override {
    enter_own_network();
    lan.emplace(3);
    etcd.emplace(EtcdServerOptions{.members = 3, .places = lan->places()});
    service.emplace(*etcd);
    ASSERT_TRUE(service->becomes_ready()) << service->server().err();
  }
  void TearDown() override {
    if (!service) return;  // SetUp() has said why
    EXPECT_THAT(service->slowest(), Le(kAnswered));
    if (HasFailure()) std::printf("%s\n%s\n", service->server().err().c_str(), etcd->logs().c_str());
  }
  void expect_service_soon(const std::string& name) {
    EXPECT_TRUE(eventually([&] { return service->acquire(name, "instance-1").status == 200; }, seconds(20)));
    EXPECT_EQ(service->acquire(name, "instance-2").status, 423);
    auto granted = service->grant(name);
    EXPECT_EQ(granted.status, 201) << granted.body;
    EXPECT_EQ(service->keep_alive(granted.body).status, 200);
  }

  std::optional<EtcdLan> lan;
  std::optional<EtcdServer> etcd;
  std::optional<ServiceOnEtcd> service;
};

TEST_F(EtcdNetwork, AMemberThatIsCutOffFromUsIsBypassed) {
  auto granted = service->grant("held", 60);
  for (std::size_t member = 0; member < 3; ++member) {
    lan->cut_from_us(member);
    EXPECT_EQ(service->acquire("at-once-" + std::to_string(member), "instance-1").status, 200);
    EXPECT_THAT(service->latest(), Le(kGotAround));
    expect_service_soon("cut-" + std::to_string(member));
    EXPECT_EQ(service->keep_alive(granted.body).status, 200);
    lan->join_to_us(member);
    ASSERT_TRUE(eventually([&] { return etcd->answers(member); }));
  }
}

TEST_F(EtcdNetwork, ALeaderThatLostTheOtherMembersIsAbandoned) {
  auto granted = service->grant("held", 60);
  std::size_t leader = etcd->leader();
  lan->cut_from_members(leader);
  expect_service_soon("lonely-leader");
  EXPECT_EQ(service->grant("held").status, 202);
  EXPECT_EQ(service->keep_alive(granted.body).status, 200);
  lan->join_to_members(leader);
  ASSERT_TRUE(eventually([&] { return etcd->answers(leader); }));
  EXPECT_EQ(service->keep_alive(granted.body).status, 200);
}

TEST_F(EtcdNetwork, SafetyR29_AMemberThatIsCutOffFeedsNoCacheForLong) {
  std::size_t member = etcd->follower();
  ServiceOnEtcd cached(etcd->member(member).url(), {{"SHARED_LOCK_CACHE_ENABLED", "true"}});
  ASSERT_TRUE(cached.becomes_ready());
  auto hits = [&] { return cached.metric(R"(shared_lock_cache_operations_total{operation="get",status="hit"})"); };
  ASSERT_EQ(cached.grant("freed", 600).status, 201);
  ASSERT_TRUE(eventually([&] { return cached.grant("freed").status == 202 && hits() > 0; }));

  lan->cut_from_members(member);
  auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([&] { return cached.grant("freed").status != 202; }, seconds(60)));
  EXPECT_THAT(std::chrono::steady_clock::now() - begin, Le(seconds(8))) << "a watch of it is not live any more";
  lan->join_to_members(member);
  ASSERT_TRUE(cached.becomes_ready());
  double before = hits();
  EXPECT_TRUE(eventually([&] { return cached.grant("freed").status == 202 && hits() > before; })) << "live again";
}

TEST_F(EtcdNetwork, AllMembersCutOffIsReportedInTimeAndServiceResumes) {
  auto granted = service->grant("held", 60);
  for (std::size_t member = 0; member < 3; ++member) lan->cut_from_us(member);
  EXPECT_EQ(service->grant("cut").status, 500);
  EXPECT_EQ(service->acquire("cut", "instance-1").status, 503);
  EXPECT_EQ(service->keep_alive(granted.body).status, 500);
  EXPECT_EQ(service->ready().status, 503);
  for (std::size_t member = 0; member < 3; ++member) lan->join_to_us(member);
  ASSERT_TRUE(service->becomes_ready());
  expect_service_soon("joined");
  EXPECT_EQ(service->keep_alive(granted.body).status, 200);
}

}  // namespace
}  // namespace sharedlock::test
