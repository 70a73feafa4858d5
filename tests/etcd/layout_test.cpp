// How locks and leases lie in etcd: as the programs that we replace lay them, so that both exclude each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

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
using testing::IsEmpty;
using testing::Le;
using testing::MatchesRegex;
using testing::Not;

// One etcd and one server for all; each case uses keys of its own.
class EtcdLayout : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    service_ = std::make_unique<ServiceOnEtcd>(EtcdServer::shared(),
                                               Environment{{"SHARED_LOCK_ADMIN_TOKEN", "the-token-of-the-admin"}});
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(service_->server().stop(), 0) << service_->server().err();
    service_.reset();
    beside_go_.reset();
  }
  void SetUp() override { ASSERT_TRUE(service().becomes_ready()) << service().server().err(); }

  static ServiceOnEtcd& service() { return *service_; }
  // The setting that is needed beside servers of the Go service.
  static ServiceOnEtcd& beside_go() {
    if (!beside_go_)
      beside_go_ = std::make_unique<ServiceOnEtcd>(etcd(), Environment{{"SHARED_LOCK_ETCD_LEASES", "own"}});
    EXPECT_TRUE(beside_go_->becomes_ready()) << beside_go_->server().err();
    return *beside_go_;
  }
  static EtcdServer& etcd() { return EtcdServer::shared(); }

  // A record as the Java service writes it.
  static std::string java_record(const std::string& name, const std::string& instance, int duration,
                                 std::int64_t expiry) {
    return R"({"namespace":"space","lockName":")" + name + R"(","owner":"anonymous","instanceId":")" + instance +
           R"(","leaseDuration":)" + std::to_string(duration) + R"(,"expiry":)" + std::to_string(expiry) + "}";
  }
  static std::int64_t epoch_now() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  // Of etcd's log.
  static std::int64_t log_entries() {
    std::string status = etcd().etcdctl({"endpoint", "status", "-w", "json"});
    constexpr std::string_view kName = R"("raftIndex":)";
    return std::stoll(status.substr(status.find(kName) + kName.size()));
  }

 private:
  static inline std::unique_ptr<ServiceOnEtcd> service_;
  static inline std::unique_ptr<ServiceOnEtcd> beside_go_;
};

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

TEST_F(EtcdLayout, AValueOfTheGoServiceIsRespected) {
  auto lease = put_under_lease(etcd(), "/shared-lock/go", "{\"any\": \"value\"}", 60);
  EXPECT_EQ(service().grant("go").status, 202);
  EXPECT_EQ(service().keep_alive(std::to_string(lease)).status, 200) << "its lease, through us";
  EXPECT_EQ(stored(etcd(), "/shared-lock/go").value, "{\"any\": \"value\"}") << "untouched";
  etcd().etcdctl({"lease", "revoke", in_hex(lease)});
  EXPECT_EQ(service().grant("go").status, 201) << "their holder has ended it";
}

TEST_F(EtcdLayout, TheGoServiceRespectsOurs) {
  auto granted = beside_go().grant("for-go");
  ASSERT_EQ(granted.status, 201);
  EXPECT_FALSE(put_if_absent(etcd(), "/shared-lock/for-go", "theirs"));
  etcd().etcdctl({"lease", "revoke", in_hex(std::stoll(granted.body))});
  EXPECT_TRUE(put_if_absent(etcd(), "/shared-lock/for-go", "theirs"));
  EXPECT_EQ(service().grant("for-go").status, 202) << "also without any lease";
}

TEST_F(EtcdLayout, ARecordOfTheJavaServiceIsRespected) {
  std::int64_t expiry = epoch_now() + 60;
  put_under_lease(etcd(), "locks/space:java", java_record("java", "theirs-1", 60, expiry), 60);
  auto refused = service().acquire("java", "ours-1");
  EXPECT_EQ(refused.status, 423) << refused.body;
  EXPECT_EQ(service().renew("java", "ours-1").status, 423);
  EXPECT_EQ(service().release("java", "ours-1").status, 423);
  auto token = stored(etcd(), "locks/space:java").mod_revision;
  EXPECT_EQ(service().look("java").body, R"({"namespace":"space","lockName":"java","owner":"anonymous","expiry":)" +
                                             std::to_string(expiry) + R"(,"fencingToken":)" + std::to_string(token) +
                                             R"(,"waiters":0})");
}

// As the Java service writes it for a token without `sub`, and as it shows it: held, without an owner.
TEST_F(EtcdLayout, ARecordWithoutAnOwnerBelongsToNoCaller) {
  std::int64_t expiry = epoch_now() + 60;
  std::string record = java_record("ownerless", "theirs-1", 60, expiry);
  const std::string owner = R"("owner":"anonymous")";
  record.replace(record.find(owner), owner.size(), R"("owner":null)");
  put_under_lease(etcd(), "locks/space:ownerless", record, 60);
  auto token = stored(etcd(), "locks/space:ownerless").mod_revision;
  EXPECT_EQ(service().look("ownerless").body, R"({"namespace":"space","lockName":"ownerless","expiry":)" +
                                                  std::to_string(expiry) + R"(,"fencingToken":)" +
                                                  std::to_string(token) + R"(,"waiters":0})");
  for (const char* instance : {"theirs-1", "ours-1"}) {
    auto refused = service().acquire("ownerless", instance);
    EXPECT_EQ(refused.status, 423) << refused.body;
    EXPECT_THAT(refused.body, AllOf(HasSubstr(std::to_string(expiry)), Not(HasSubstr(R"("owner")"))));
    EXPECT_EQ(service().renew("ownerless", instance).status, 423);
    EXPECT_EQ(service().release("ownerless", instance).status, 423);
  }
  EXPECT_EQ(stored(etcd(), "locks/space:ownerless").value, record) << "nothing changed";
  auto forced = service().ask("DELETE", "/v1/space/lock/ownerless", "", "X-Admin-Token: the-token-of-the-admin\r\n");
  EXPECT_EQ(forced.status, 200) << forced.body;
  EXPECT_EQ(service().acquire("ownerless", "ours-1").status, 200);
}

TEST_F(EtcdLayout, AHolderThatBeganWithTheJavaServiceGoesOnHere) {
  std::int64_t expiry = epoch_now() + 60;
  put_under_lease(etcd(), "locks/space:moved", java_record("moved", "mover-1", 60, expiry), 60);
  auto renewed = service().renew("moved", "mover-1", 30);
  ASSERT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_THAT(renewed.body, HasSubstr(R"("leaseDuration":90,"expiry":)" + std::to_string(expiry + 30)));
  EXPECT_EQ(service().release("moved", "mover-1").status, 200);
  EXPECT_FALSE(stored(etcd(), "locks/space:moved").found);
}

TEST_F(EtcdLayout, SafetyR30_UnknownMembersSurviveARenewalButNoAcquire) {
  std::string record = java_record("members", "mover-1", 60, epoch_now() + 60);
  record.insert(record.size() - 1, R"(,"note":{"big":12345678901234567890,"x":[1,2.50]})");
  put_under_lease(etcd(), "locks/space:members", record, 60);
  ASSERT_EQ(service().renew("members", "mover-1", 30).status, 200);
  EXPECT_THAT(stored(etcd(), "locks/space:members").value,
              HasSubstr(R"("note":{"big":12345678901234567890,"x":[1,2.50]})"));
  ASSERT_EQ(service().acquire("members", "mover-1", 30).status, 200);
  EXPECT_THAT(stored(etcd(), "locks/space:members").value, Not(HasSubstr("note")));
}

TEST_F(EtcdLayout, AGarbageRecordIsAnErrorForThatLockAlone) {
  put_under_lease(etcd(), "locks/space:garbage", "not a record", 60);
  for (const auto& answer : {service().acquire("garbage", "instance-1"), service().renew("garbage", "instance-1"),
                             service().release("garbage", "instance-1"), service().look("garbage")}) {
    EXPECT_EQ(answer.status, 500);
    EXPECT_THAT(answer.body, HasSubstr("Lock record unreadable"));
  }
  EXPECT_EQ(stored(etcd(), "locks/space:garbage").value, "not a record") << "untouched";
  EXPECT_TRUE(service().server().says("locks/space:garbage")) << "the log names it";
  EXPECT_EQ(service().acquire("no-garbage", "instance-1").status, 200);
  etcd().etcdctl({"del", "locks/space:garbage"});
  EXPECT_EQ(service().acquire("garbage", "instance-1").status, 200) << "taken away by hand";
}

TEST_F(EtcdLayout, SafetyR10_ARecordWithoutALeaseIsTakenOverOnlyWhenItIsSurelyOver) {
  etcd().etcdctl({"put", "locks/space:no-lease", java_record("no-lease", "gone-1", 0, epoch_now() - 100)});
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(service().acquire("no-lease", "instance-1").status, 423) << "seen for the first time";
  EXPECT_TRUE(
      eventually([] { return service().acquire("no-lease", "instance-1").status == 200; }, std::chrono::seconds(30)));
  EXPECT_THAT(std::chrono::steady_clock::now() - begin, Ge(std::chrono::seconds(10)));

  etcd().etcdctl({"put", "locks/space:lasting", java_record("lasting", "there-1", 1, epoch_now() + 1000)});
  EXPECT_EQ(service().acquire("lasting", "instance-1").status, 423);
}

TEST_F(EtcdLayout, SafetyR10_AnExpiredRecordUnderALivingLeaseIsKept) {
  put_under_lease(etcd(), "locks/space:skewed", java_record("skewed", "theirs-1", 1, epoch_now() - 100), 60);
  EXPECT_EQ(service().acquire("skewed", "instance-1").status, 423);
  EXPECT_EQ(service().acquire("skewed", "instance-1").status, 423);
}

TEST_F(EtcdLayout, SafetyR10_ClockSkewIsExported) {
  ServiceOnEtcd fresh(etcd());
  ASSERT_TRUE(fresh.becomes_ready());
  auto difference = [&] { return fresh.metric("shared_lock_clock_difference_seconds"); };
  ASSERT_EQ(fresh.acquire("clocks", "instance-1").status, 200);
  ASSERT_EQ(fresh.look("clocks").status, 200);
  EXPECT_EQ(difference(), 0);
  put_under_lease(etcd(), "locks/space:behind", java_record("behind", "theirs-1", 1, epoch_now() - 100), 60);
  ASSERT_EQ(fresh.look("behind").status, 200);
  EXPECT_THAT(difference(), AllOf(Ge(-105), Le(-100)));
  put_under_lease(etcd(), "locks/space:ahead", java_record("ahead", "theirs-1", 60, epoch_now() + 460), 60);
  ASSERT_EQ(fresh.look("ahead").status, 200);
  EXPECT_THAT(difference(), AllOf(Ge(395), Le(400)));
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
