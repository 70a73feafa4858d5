// How locks and leases lie in etcd: as the programs that we replace lay them, so that both exclude each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "etcd/layout_fixture.h"
#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"

namespace sharedlock::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::MatchesRegex;

TEST_F(EtcdLayout, ALeaseIsAKeyAndAnIndexEntryUnderASharedLease) {
  auto granted = service().grant("shared-layout", 60, "pod-1");
  ASSERT_EQ(granted.status, 201) << granted.body;
  for (int i = 0; i < 2; ++i) {
    auto key = stored(etcd(), "/shared-lock/shared-layout");
    EXPECT_EQ(key.value, "pod-1");
    auto index = stored(etcd(), "/shared-lock.id/" + granted.body);
    EXPECT_EQ(index.value, "60 /shared-lock/shared-layout");
    EXPECT_EQ(index.lease, key.lease);
    EXPECT_EQ(index.mod_revision, key.mod_revision);
    EXPECT_NE(std::to_string(key.lease), granted.body);
    EXPECT_EQ(service().keep_alive(granted.body).status, 200);
    EXPECT_GT(stored(etcd(), "/shared-lock/shared-layout").mod_revision, key.mod_revision);
  }
  EXPECT_EQ(service().ask("POST", "/release", granted.body).status, 200);
  EXPECT_FALSE(stored(etcd(), "/shared-lock/shared-layout").found);
  EXPECT_FALSE(stored(etcd(), "/shared-lock.id/" + granted.body).found);
}

TEST_F(EtcdLayout, AnOwnLeaseIsAKeyUnderALeaseOfThatId) {
  auto granted = beside_go().grant("layout", 60, "pod-1");
  ASSERT_EQ(granted.status, 201) << granted.body;
  auto key = stored(etcd(), "/shared-lock/layout");
  EXPECT_EQ(key.value, "pod-1");
  EXPECT_EQ(std::to_string(key.lease), granted.body);
  EXPECT_EQ(granted.header("x-fencing-token"), std::to_string(key.mod_revision));
  auto lease = stored_lease(etcd(), key.lease);
  EXPECT_EQ(lease.granted, 60);
  EXPECT_THAT(lease.keys, ElementsAre("/shared-lock/layout"));
}

TEST_F(EtcdLayout, ALockIsARecordUnderALease) {
  auto acquired = service().acquire("layout", "instance-1", 60);
  ASSERT_EQ(acquired.status, 200) << acquired.body;
  auto key = stored(etcd(), "locks/space:layout");
  EXPECT_THAT(key.value, MatchesRegex("\\{\"namespace\":\"space\",\"lockName\":\"layout\",\"owner\":\"anonymous\","
                                      "\"instanceId\":\"instance-1\",\"leaseDuration\":60,\"expiry\":[0-9]+\\}"));
  auto lease = stored_lease(etcd(), key.lease);
  EXPECT_THAT(lease.granted, AllOf(Ge(60), Le(62)));
  EXPECT_THAT(lease.keys, ElementsAre("locks/space:layout"));
}

TEST_F(EtcdLayout, RenewMovesTheRecordToALongerLease) {
  auto acquired = service().acquire("renewed", "instance-1", 60);
  ASSERT_EQ(acquired.status, 200);
  auto before = stored(etcd(), "locks/space:renewed");
  auto renewed = service().renew("renewed", "instance-1", 60);
  ASSERT_EQ(renewed.status, 200) << renewed.body;
  auto after = stored(etcd(), "locks/space:renewed");
  EXPECT_THAT(after.value, HasSubstr(R"("leaseDuration":120)"));
  EXPECT_THAT(after.value, HasSubstr("\"fencingToken\":" + *acquired.header("x-fencing-token")));
  auto lease = stored_lease(etcd(), after.lease);
  EXPECT_THAT(lease.granted, AllOf(Ge(115), Le(122))) << "from the old expiry";
  EXPECT_THAT(lease.keys, ElementsAre("locks/space:renewed"));
  EXPECT_NE(after.lease, before.lease);
}

TEST_F(EtcdLayout, ReleaseDeletesTheKey) {
  ASSERT_EQ(service().acquire("released", "instance-1").status, 200);
  ASSERT_EQ(service().release("released", "instance-1").status, 200);
  EXPECT_FALSE(stored(etcd(), "locks/space:released").found);
}

TEST_F(EtcdLayout, KeepAliveRenewsAnOwnLeaseInEtcd) {
  auto granted = beside_go().grant("kept", 4);
  auto lease = stored(etcd(), "/shared-lock/kept").lease;
  ASSERT_TRUE(eventually([&] { return stored_lease(etcd(), lease).left <= 2; }));
  EXPECT_EQ(beside_go().keep_alive(granted.body).status, 200);
  EXPECT_THAT(stored_lease(etcd(), lease).left, Ge(3));
}

TEST_F(EtcdLayout, TheKeyPrefixIsTheSettings) {
  ServiceOnEtcd other(etcd(), {{"LOCKER_ETCD_KEY_PREFIX", "myapp/locks/"}});
  ASSERT_TRUE(other.becomes_ready());
  EXPECT_EQ(other.acquire("prefixed", "instance-1").status, 200);
  EXPECT_TRUE(stored(etcd(), "myapp/locks/space:prefixed").found);
  EXPECT_EQ(service().acquire("prefixed", "instance-2").status, 200) << "another prefix, another lock";
}

TEST_F(EtcdLayout, TwoServersExcludeEachOther) {
  ServiceOnEtcd other(etcd());
  ASSERT_TRUE(other.becomes_ready());
  auto granted = service().grant("two-servers");
  EXPECT_EQ(granted.status, 201);
  EXPECT_EQ(other.grant("two-servers").status, 202);
  EXPECT_EQ(other.keep_alive(granted.body).status, 200);
  EXPECT_EQ(service().acquire("two-servers", "instance-1").status, 200);
  EXPECT_EQ(other.acquire("two-servers", "instance-2").status, 423);
  EXPECT_EQ(other.renew("two-servers", "instance-1").status, 200);
}

TEST_F(EtcdLayout, SafetyR04_OnlyLeasesUnderTheLeaseApisKeysAreServed) {
  ASSERT_EQ(service().acquire("pooled", "instance-1", 60).status, 200);
  auto pooled = stored(etcd(), "locks/space:pooled").lease;
  EXPECT_EQ(service().keep_alive(std::to_string(pooled)).status, 204);
  EXPECT_THAT(stored_lease(etcd(), pooled).keys, Contains("locks/space:pooled")) << "it lives on";

  auto foreign = put_under_lease(etcd(), "other/program", "value", 60);
  EXPECT_EQ(service().keep_alive(std::to_string(foreign)).status, 204);
  EXPECT_TRUE(stored(etcd(), "other/program").found);
}

TEST_F(EtcdLayout, SafetyR04_ALeaseWhoseKeyWasDeletedByHandIsLost) {
  auto granted = service().grant("deleted");
  ASSERT_EQ(service().keep_alive(granted.body).status, 200);
  etcd().etcdctl({"del", "/shared-lock/deleted"});
  EXPECT_TRUE(eventually([&] { return service().keep_alive(granted.body).status == 204; }));
  EXPECT_EQ(service().grant("deleted").status, 201);

  ASSERT_EQ(service().acquire("deleted", "instance-1").status, 200);
  etcd().etcdctl({"del", "locks/space:deleted"});
  EXPECT_EQ(service().renew("deleted", "instance-1").status, 423);
  EXPECT_EQ(service().acquire("deleted", "instance-2").status, 200);
}

TEST_F(EtcdLayout, ALeaseThatWasRevokedByHandIsLost) {
  auto granted = beside_go().grant("revoked");
  etcd().etcdctl({"lease", "revoke", in_hex(std::stoll(granted.body))});
  EXPECT_TRUE(eventually([&] { return service().keep_alive(granted.body).status == 204; }));
  EXPECT_EQ(service().grant("revoked").status, 201);

  ASSERT_EQ(service().acquire("revoked", "instance-1").status, 200);
  etcd().etcdctl({"lease", "revoke", in_hex(stored(etcd(), "locks/space:revoked").lease)});
  EXPECT_EQ(service().renew("revoked", "instance-1").status, 423);
  EXPECT_EQ(service().acquire("revoked", "instance-2").status, 200);
}

TEST_F(EtcdLayout, ARefusedTryLeavesNoLeaseBehind) {
  ASSERT_EQ(service().grant("refused").status, 201);
  ASSERT_EQ(service().acquire("refused", "instance-1").status, 200);
  std::size_t before = etcd().leases().size();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(service().grant("refused").status, 202);
    EXPECT_EQ(service().acquire("refused", "instance-2").status, 423);
  }
  // One further lease may be the server's own session.
  EXPECT_TRUE(eventually([&] { return etcd().leases().size() <= before + 1; })) << etcd().etcdctl({"lease", "list"});
}

TEST_F(EtcdLayout, OnlyTheFirstRefusedTryOfALeaseMayCostAnEntryOfTheLog) {
  ServiceOnEtcd other(etcd());
  ASSERT_TRUE(other.becomes_ready());
  ASSERT_EQ(other.grant("entries").status, 201);
  std::size_t before = etcd().leases().size();
  // The server does not know yet that the lock is held, and asks for a lease first.
  EXPECT_EQ(service().grant("entries").status, 202);
  EXPECT_TRUE(eventually([&] { return etcd().leases().size() <= before + 1; })) << etcd().etcdctl({"lease", "list"});

  std::int64_t entries = log_entries();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(service().grant("entries").status, 202);
  EXPECT_EQ(log_entries(), entries);
}

TEST_F(EtcdLayout, ARefusedTryWithAChosenIdLeavesNoLeaseOfThatId) {
  ServiceOnEtcd other(etcd());
  ASSERT_TRUE(other.becomes_ready());
  ASSERT_EQ(other.grant("chosen").status, 201);
  constexpr std::int64_t kId = 1LL << 41;
  auto refused = service().server().ask("POST", "/lease", R"({"key":"chosen"})", "x-lease-id: 2199023255552\r\n");
  EXPECT_EQ(refused.status, 202);
  EXPECT_EQ(stored_lease(etcd(), kId).left, -1);
}

TEST_F(EtcdLayout, SafetyR03_LosersOfARaceLeaveNoLeaseBehind) {
  ServiceOnEtcd other(etcd());
  ASSERT_TRUE(other.becomes_ready());
  std::size_t before = etcd().leases().size();
  constexpr int kRounds = 20;
  std::atomic<int> granted = 0;
  auto race = [&](ServiceOnEtcd& through, int racer) {
    for (int i = 0; i < kRounds; ++i) {
      std::string round = std::to_string(i);
      auto lease = through.server().ask("POST", "/lease", R"({"key":"race-)" + round + "\"}", "x-lease-ttl: 600s\r\n");
      auto lock =
          through.server().ask("POST", "/v1/space/lock/race-" + round + "/acquire",
                               R"({"instanceId":"racer-)" + std::to_string(racer) + R"(","leaseDuration":600})");
      EXPECT_THAT(lease.status, AnyOf(201, 202));
      EXPECT_THAT(lock.status, AnyOf(200, 423));
      granted += (lease.status == 201 ? 1 : 0) + (lock.status == 200 ? 1 : 0);
    }
  };
  std::vector<std::thread> racers;
  for (int i = 0; i < 6; ++i) racers.emplace_back(race, std::ref(i % 2 == 0 ? service() : other), i);
  for (std::thread& racer : racers) racer.join();
  EXPECT_EQ(granted, 2 * kRounds) << "one winner each";
  // One further lease for each server may be its session.
  std::size_t after = before + 2 * kRounds + 2;
  EXPECT_TRUE(eventually([&] { return etcd().leases().size() <= after; })) << etcd().leases().size() << " > " << after;
}

TEST_F(EtcdLayout, SafetyR31_TheTokenBaseIsAddedAndStays) {
  EtcdServer fresh;
  ServiceOnEtcd first(fresh, {{"SHARED_LOCK_TOKEN_BASE", "5000000"}});
  ASSERT_TRUE(first.becomes_ready());
  auto granted = first.grant("based");
  auto revision = stored(fresh, "/shared-lock/based").mod_revision;
  EXPECT_EQ(granted.header("x-fencing-token"), std::to_string(revision + 5000000));
  EXPECT_TRUE(stored(fresh, "/shared-lock.meta/token-base").found);

  ServiceOnEtcd second(fresh);
  ASSERT_TRUE(second.becomes_ready());
  auto acquired = second.acquire("based", "instance-1");
  EXPECT_EQ(acquired.header("x-fencing-token"),
            std::to_string(stored(fresh, "locks/space:based").mod_revision + 5000000));

  ServiceOnEtcd other(fresh, {{"SHARED_LOCK_TOKEN_BASE", "6000000"}});
  EXPECT_TRUE(eventually([&] {
    return other.ready().status == 503 && other.ready().body.find("5000000") != std::string::npos;
  })) << other.ready().body;
  EXPECT_EQ(other.grant("refused-base").status, 500);
}

}  // namespace
}  // namespace sharedlock::test
