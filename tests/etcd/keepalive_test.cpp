// Keepalives of etcd's own leases for which a watch saves the read of the keys under the lease. They cost less and are
// just as strict (R4).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "http/test_client.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

const Environment kOwnLeases{{"SHARED_LOCK_ETCD_LEASES", "own"}};

// How often this member was asked for the keys under a lease.
double looks_at(EtcdServer& etcd, std::size_t member) {
  http::TestClient client(EtcdServer::address(), etcd.member(member).port());
  std::string text = client.request("GET", "/metrics").body;
  double sum = 0;
  const std::string family = "\ngrpc_server_started_total{grpc_method=\"LeaseTimeToLive\"";
  for (auto at = text.find(family); at != std::string::npos; at = text.find(family, at + 1)) {
    sum += std::stod(text.substr(text.find("} ", at) + 2));
  }
  return sum;
}

class EtcdKeepaliveLooks : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(service.becomes_ready()) << service.server().err(); }

  double looks() { return looks_at(etcd, 0); }

  // A lease that the watch knows already: its keepalives need no read.
  std::string watched_lease(const std::string& key) {
    auto granted = service.grant(key, 600);
    EXPECT_EQ(granted.status, 201) << granted.body;
    auto without_look = [&] {
      double before = looks();
      return service.keep_alive(granted.body).status == 200 && looks() == before;
    };
    EXPECT_TRUE(eventually(without_look)) << "the watch never came to spare the look";
    return granted.body;
  }

  void expect_204_within(seconds limit, const std::string& lease) {
    EXPECT_TRUE(eventually([&] { return service.keep_alive(lease).status == 204; }, limit));
  }

  EtcdServer etcd;
  ServiceOnEtcd service{etcd, kOwnLeases};
};

TEST_F(EtcdKeepaliveLooks, CostNoLookOnceTheWatchKnowsTheLease) {
  std::string lease = watched_lease("kept");
  double before = looks();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(service.keep_alive(lease).status, 200);
  EXPECT_EQ(looks(), before);
}

TEST_F(EtcdKeepaliveLooks, SafetyR04_ALeaseThatTheWatchHasNotToldOfIsAskedFor) {
  (void)watched_lease("first");
  ServiceOnEtcd other(etcd, kOwnLeases);
  ASSERT_TRUE(other.becomes_ready());
  for (int i = 0; i < 100; ++i) {
    auto here = service.grant("here-" + std::to_string(i));
    EXPECT_EQ(service.keep_alive(here.body).status, 200);
    auto there = other.grant("there-" + std::to_string(i));
    EXPECT_EQ(service.keep_alive(there.body).status, 200);
  }
}

// etcd may renew what its old leader was about to revoke.
TEST_F(EtcdKeepaliveLooks, SafetyR08_WhatMayHaveEndedIsLookedForAfterItsRenewal) {
  (void)watched_lease("first");
  ServiceOnEtcd other(etcd, kOwnLeases);
  ASSERT_TRUE(other.becomes_ready());
  auto granted = service.grant("short", 4);
  auto end = std::chrono::steady_clock::now() + seconds(5);
  EXPECT_TRUE(eventually([&] {
    EXPECT_EQ(other.keep_alive(granted.body).status, 200);
    return std::chrono::steady_clock::now() >= end;
  }));
  double before = looks();
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(looks(), before + 1) << "by what this server knows, it had ended";
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(looks(), before + 1);
}

TEST_F(EtcdKeepaliveLooks, SafetyR04_AKeyDeletedByHandIs204Soon) {
  std::string lease = watched_lease("deleted");
  etcd.etcdctl({"del", "/shared-lock/deleted"});
  expect_204_within(seconds(2), lease);
  EXPECT_EQ(service.grant("deleted").status, 201);
}

TEST_F(EtcdKeepaliveLooks, SafetyR04_AKeyThatAnotherLeaseTookIs204Soon) {
  std::string lease = watched_lease("taken");
  (void)put_under_lease(etcd, "/shared-lock/taken", "theirs", 600);
  expect_204_within(seconds(2), lease);
  EXPECT_EQ(stored(etcd, "/shared-lock/taken").value, "theirs");
}

TEST_F(EtcdKeepaliveLooks, SafetyR04_PooledAndForeignLeasesAre204AndUntouched) {
  (void)watched_lease("mine");
  ASSERT_EQ(service.acquire("pooled", "instance-1", 60).status, 200);
  auto pooled = stored(etcd, "locks/space:pooled").lease;
  auto foreign = put_under_lease(etcd, "other/program", "value", 60);
  for (auto id : {pooled, foreign}) EXPECT_EQ(service.keep_alive(std::to_string(id)).status, 204);
  EXPECT_THAT(stored_lease(etcd, pooled).keys, ElementsAre("locks/space:pooled")) << "it lives on";
  EXPECT_TRUE(stored(etcd, "other/program").found);
}

TEST_F(EtcdKeepaliveLooks, SafetyR04_WhatWasKnownBeforeALongStandstillIsNotBelieved) {
  std::string lease = watched_lease("stood-still");
  // Longer than a watch may be silent. Etcd restarts, so that no change is buffered in our connection.
  service.process().stop();
  etcd.etcdctl({"del", "/shared-lock/stood-still"});
  etcd.member(0).kill();
  etcd.member(0).start();
  auto back = std::chrono::steady_clock::now() + seconds(4);
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() >= back; }));
  service.process().resume();
  EXPECT_EQ(service.keep_alive(lease).status, 204) << "the very first one";
}

TEST_F(EtcdKeepaliveLooks, AfterAnOutageOfEtcdTheWatchSparesTheLookAgain) {
  std::string lease = watched_lease("before");
  etcd.member(0).kill();
  EXPECT_EQ(service.keep_alive(lease).status, 500) << "it surely lives (R8)";
  etcd.member(0).start();
  ASSERT_TRUE(service.becomes_ready());
  EXPECT_EQ(service.keep_alive(lease).status, 200);
  (void)watched_lease("after");
}

// The member that serves the watch is stopped: until another one serves it, keepalives ask the other members.
TEST(EtcdKeepaliveCluster, SafetyR04_AWatchWhoseMemberIsStoppedIsNotBelieved) {
  EtcdServer etcd({.members = 3});
  std::size_t used = etcd.follower();
  std::size_t second = (used + 1) % 3;
  std::size_t third = (used + 2) % 3;
  ServiceOnEtcd service(etcd.member(used).url() + "," + etcd.member(second).url() + "," + etcd.member(third).url(),
                        kOwnLeases);
  ASSERT_TRUE(service.becomes_ready());
  auto granted = service.grant("deaf", 600);
  auto keeps = [&] { return service.keep_alive(granted.body).status == 200; };
  auto without_look = [&] {
    double before = looks_at(etcd, used);
    return keeps() && looks_at(etcd, used) == before;
  };
  ASSERT_TRUE(eventually(without_look));
  double before = looks_at(etcd, second) + looks_at(etcd, third);
  etcd.member(used).stop();
  auto asked = [&] { return keeps() && looks_at(etcd, second) + looks_at(etcd, third) > before; };
  EXPECT_TRUE(eventually(asked)) << "what the watch knew is believed for ever";
  etcd.member(used).resume();
}

}  // namespace
}  // namespace sharedlock::test
