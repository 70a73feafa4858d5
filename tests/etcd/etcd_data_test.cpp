#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>

#include "base/clock.h"
#include "base/random.h"
#include "contract/store_client.h"
#include "contract/watch_log.h"
#include "lease/lease_service.h"
#include "lock/lock_service.h"
#include "store/etcd/etcd_store.h"
#include "support/embedded_fixture.h"
#include "support/etcd_server.h"
#include "support/eventually.h"
#include "support/run_task.h"
#include "support/skewed_clock.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;

// What stands in etcd, and what other programs put there.
class EtcdData : public ::testing::Test {
 protected:
  EtcdData() : EtcdData(EtcdServer::shared()) {}
  explicit EtcdData(EtcdServer& used) : etcd(used) {}

  std::unique_ptr<LeaseStore> make_store(std::optional<std::int64_t> token_base = {}) {
    EtcdOptions options;
    options.endpoints = etcd.urls();
    options.token_base = token_base;
    return make_etcd_store(std::move(options), clock, silent_log()).value();
  }

  Result<LockAnswer> acquire(std::string instance, seconds duration = seconds(30)) {
    return run_task(locks.acquire({lock, {"owner", std::move(instance)}, duration, clock.boot_now()}));
  }
  Result<LeaseService::Answer> grant(std::string key, Ttl ttl = Ttl{30}) {
    return run_task(leases.grant({std::move(key), "value", ttl, clock.boot_now()}));
  }
  Result<Ttl> keep_alive(LeaseId id) { return run_task(leases.keep_alive(id, clock.boot_now())); }

  // A record as the Java service writes them, of another holder, with an expiry `expiry_in` from now.
  std::string foreign_record(seconds duration, seconds expiry_in) const {
    auto expiry = std::chrono::floor<seconds>(clock.wall_now().time_since_epoch()) + expiry_in;
    return R"({"namespace":"space","lockName":")" + lock.name + R"(","owner":"somebody","instanceId":"theirs",)" +
           R"("leaseDuration":)" + std::to_string(duration.count()) + R"(,"expiry":)" + std::to_string(expiry.count()) +
           R"(,"note":1.50})";
  }
  std::string record_key() const { return "locks/space:" + lock.name; }
  std::string unique() const { return random_uuid(); }

  static std::string hex(LeaseId id) {
    char text[20];
    std::snprintf(text, sizeof text, "%" PRIx64, static_cast<std::uint64_t>(number_of(id)));
    return text;
  }
  // Grants a lease by another client, and returns its id in hexadecimal.
  std::string foreign_lease(seconds ttl) {
    std::string said = etcd.etcdctl({"lease", "grant", std::to_string(ttl.count())});  // "lease ID granted with …"
    return said.substr(6, said.find(' ', 6) - 6);
  }

  EtcdServer& etcd;
  SystemClock clock;
  const LockName lock{"space", random_uuid()};
  std::unique_ptr<LeaseStore> store = make_store();
  StoreClient client{*store};
  LockService locks{{}, *store, clock, silent_log()};
  LeaseService leases{{}, *store, clock, silent_log()};
};

TEST_F(EtcdData, LeasesStandWhereTheSeedPutsThem) {
  std::string key = unique();
  auto granted = std::get<LeaseGrant>(grant(key).value());

  EXPECT_EQ(etcd.etcdctl({"get", "--print-value-only", "/shared-lock/" + key}), "value\n");
  EXPECT_EQ(etcd.etcdctl({"get", "--print-value-only", "/shared-lock.id/" + std::to_string(number_of(granted.id))}),
            "30 /shared-lock/" + key + "\n");
}

TEST_F(EtcdData, LocksStandWhereTheSeedPutsThem) {
  auto granted = std::get<LockGrant>(acquire("mine").value());

  EXPECT_EQ(etcd.etcdctl({"get", "--print-value-only", record_key()}), to_json(granted.record) + "\n");
  auto entry = client.get(record_key()).value();
  EXPECT_THAT(etcd.etcdctl({"lease", "timetolive", hex(entry.lease), "--keys"}), HasSubstr(record_key()));
}

TEST_F(EtcdData, ARecordOfTheJavaServiceIsRespected) {
  etcd.etcdctl(
      {"put", "--lease=" + foreign_lease(seconds(60)), record_key(), foreign_record(seconds(60), seconds(60))});

  auto refused = std::get<Refused>(acquire("mine").value());
  EXPECT_EQ(refused.holder.value().owner, "somebody");
}

TEST_F(EtcdData, ARecordOfTheJavaServiceIsRenewedByItsOwnerWithAllItsMembers) {
  etcd.etcdctl(
      {"put", "--lease=" + foreign_lease(seconds(60)), record_key(), foreign_record(seconds(60), seconds(60))});

  RenewRequest request{lock, {"somebody", "theirs"}, seconds(30), RenewFrom::expiry, {}, clock.boot_now()};
  auto renewed = run_task(locks.renew(std::move(request)));

  EXPECT_TRUE(std::holds_alternative<LockGrant>(renewed.value()));
  EXPECT_THAT(etcd.etcdctl({"get", "--print-value-only", record_key()}),
              AllOf(HasSubstr(R"("leaseDuration":90)"), HasSubstr(R"("note":1.50)")));
}

TEST_F(EtcdData, AGarbageRecordIsAnErrorForThatLockAlone) {
  etcd.etcdctl({"put", record_key(), "garbage"});

  EXPECT_EQ(error_of(acquire("mine")), Errc::corrupt);
  EXPECT_EQ(etcd.etcdctl({"get", "--print-value-only", record_key()}), "garbage\n");
}

TEST_F(EtcdData, SafetyR10_ARecordWithoutALeaseIsTakenOverOnceItWasSeenForItsDuration) {
  etcd.etcdctl({"put", record_key(), foreign_record(seconds(1), seconds(-100))});
  auto begun = clock.boot_now();

  ASSERT_TRUE(std::holds_alternative<Refused>(acquire("mine").value()));
  ASSERT_TRUE(eventually([&] { return std::holds_alternative<LockGrant>(acquire("mine").value()); }, seconds(30)));

  EXPECT_GE(clock.boot_now() - begun, seconds(10));
}

TEST_F(EtcdData, SafetyR10_ARecordWhoseLeaseLivesIsNotTakenOverByTheWallClock) {
  etcd.etcdctl(
      {"put", "--lease=" + foreign_lease(seconds(60)), record_key(), foreign_record(seconds(1), seconds(-100))});
  auto until = clock.boot_now() + seconds(2);

  while (clock.boot_now() < until) ASSERT_TRUE(std::holds_alternative<Refused>(acquire("mine").value()));
}

TEST_F(EtcdData, ALeaseOfTheGoServiceIsRespectedAndKeptAlive) {
  std::string key = unique(), id = foreign_lease(seconds(60));
  etcd.etcdctl({"put", "--lease=" + id, "/shared-lock/" + key, "theirs"});

  EXPECT_TRUE(std::holds_alternative<LeaseRefused>(grant(key).value()));
  EXPECT_EQ(keep_alive(LeaseId{std::stoll(id, nullptr, 16)}).value(), Ttl{60});
}

TEST_F(EtcdData, SafetyR04_AKeyThatWasDeletedByHandEndsItsHolding) {
  std::string key = unique();
  auto granted = std::get<LeaseGrant>(grant(key).value());
  ASSERT_TRUE(keep_alive(granted.id));

  etcd.etcdctl({"del", "/shared-lock/" + key});

  EXPECT_EQ(error_of(keep_alive(granted.id)), Errc::lease_not_found);
}

TEST_F(EtcdData, ALeaseThatWasRevokedByHandIsLost) {
  std::string key = unique();
  auto granted = std::get<LeaseGrant>(grant(key).value());

  etcd.etcdctl({"lease", "revoke", hex(client.get("/shared-lock/" + key).value().lease)});

  EXPECT_EQ(error_of(keep_alive(granted.id)), Errc::lease_not_found);
}

TEST_F(EtcdData, SafetyR03_ATryThatLostLeavesNoLease) {
  std::string key = unique();
  grant(key).value();
  auto before = etcd.leases();

  ASSERT_TRUE(std::holds_alternative<LeaseRefused>(grant(key).value()));
  client.lose({.expect = {{"/shared-lock/" + key, kAbsent}},
               .none_under = {},
               .changes = {Put{key, "", OwnLease{.ttl = Ttl{60}, .id = std::nullopt}}}});

  EXPECT_TRUE(eventually([&] { return etcd.leases() == before; }));
}

TEST_F(EtcdData, ASessionWithoutQueueEntriesEndsWithItsServer) {
  std::string session;
  {
    auto other = make_store();
    std::string place = "/shared-lock.queue/" + unique() + "/1";
    StoreClient(*other).put(place, "", SessionLease());
    session = hex(client.get(place).value().lease);
    EXPECT_THAT(etcd.leases(), testing::Contains(session));
    client.erase(place);
  }
  EXPECT_THAT(etcd.leases(), testing::Not(testing::Contains(session)));
}

TEST_F(EtcdData, SafetyR37_QueueEntriesOutliveTheirServerByTheTtlOfItsSession) {
  std::string place = "/shared-lock.queue/" + unique() + "/1";
  {
    auto other = make_store();
    StoreClient(*other).put(place, "", SessionLease());
  }
  EXPECT_TRUE(client.get(place)) << "another server may take it over";
  EXPECT_TRUE(eventually([&] { return !client.get(place); }, seconds(15)));
}

TEST_F(EtcdData, QueueEntriesOutliveTheTtlOfTheirSession) {
  std::string place = "/shared-lock.queue/" + unique() + "/1";
  client.put(place, "", SessionLease());
  auto until = clock.boot_now() + seconds(11);

  while (clock.boot_now() < until) ASSERT_TRUE(client.get(place));
}

// A second server, with a wall clock that is off by the parameter.
class EtcdRenewals : public EtcdData, public testing::WithParamInterface<std::chrono::nanoseconds> {
 protected:
  Result<LockAnswer> renew(LockService& server, seconds duration, RenewFrom from = RenewFrom::now) {
    return run_task(server.renew({lock, {"owner", "mine"}, duration, from, {}, clock.boot_now()}));
  }
  Ttl ttl_of(const Result<LockAnswer>& answer) {
    if (answer && std::holds_alternative<LockGrant>(*answer)) return std::get<LockGrant>(*answer).ttl;
    ADD_FAILURE() << (answer ? "refused" : answer.error().message);
    return {};
  }
  std::unique_ptr<LeaseStore> make_other_store() {
    EtcdOptions options;
    options.endpoints = etcd.urls();
    return make_etcd_store(std::move(options), wrong_clock, silent_log()).value();
  }

  SkewedClock wrong_clock{clock, GetParam()};
  std::unique_ptr<LeaseStore> other_store = make_other_store();
  LockService other{{}, *other_store, wrong_clock, silent_log()};
};

TEST_P(EtcdRenewals, SafetyR35_FromNowGoesByTheLeaseOnEveryServer) {
  ASSERT_TRUE(std::holds_alternative<LockGrant>(acquire("mine", seconds(9)).value()));
  for (LockService* server : {&other, &locks, &other}) {
    EXPECT_THAT(ttl_of(renew(*server, seconds(9))).count(), AllOf(Ge(8), Le(10)));
    Ttl left = client.lease(client.get(record_key()).value().lease).value().left;
    EXPECT_THAT(left.count(), AllOf(Ge(8), Le(13)));
  }
}

TEST_P(EtcdRenewals, SafetyR06_ALateShorterDuplicateShortensNothing) {
  ASSERT_TRUE(std::holds_alternative<LockGrant>(acquire("mine", seconds(10)).value()));
  EXPECT_EQ(ttl_of(renew(locks, seconds(300))), Ttl(300));
  LeaseId lease = client.get(record_key()).value().lease;
  EXPECT_GE(ttl_of(renew(other, seconds(10))), Ttl(298));
  EXPECT_GE(ttl_of(renew(locks, seconds(10))), Ttl(298));
  EXPECT_EQ(client.get(record_key()).value().lease, lease);
}

TEST_P(EtcdRenewals, SafetyR35_ARecordOfTheJavaServicePastItsExpiryIsRenewedFromNow) {
  etcd.etcdctl(
      {"put", "--lease=" + foreign_lease(seconds(60)), record_key(), foreign_record(seconds(60), seconds(-5))});
  RenewRequest request{lock, {"somebody", "theirs"}, seconds(30), RenewFrom::expiry, {}, clock.boot_now()};
  EXPECT_TRUE(std::holds_alternative<Refused>(run_task(locks.renew(request)).value())) << "as that service has it";
  request.from = RenewFrom::now;
  EXPECT_GE(ttl_of(run_task(other.renew(request))), Ttl(58)) << "under the lease that it has";
}

INSTANTIATE_TEST_SUITE_P(Skews, EtcdRenewals,
                         testing::Values(std::chrono::hours(-1), seconds(-12), seconds(0), seconds(12),
                                         std::chrono::hours(1)));

// An etcd for one test alone: the test's actions would disturb the others.
class OwnEtcdServer {
 protected:
  EtcdServer own;
};
class EtcdDataAlone : public OwnEtcdServer, public EtcdData {
 protected:
  EtcdDataAlone() : EtcdData(own) {}
};

TEST_F(EtcdDataAlone, SafetyR31_TheFirstServersTokenBaseStandsForEver) {
  constexpr std::int64_t kBase = 5'000'000'000;
  store.reset();  // it has written a base of its own
  etcd.etcdctl({"del", "/shared-lock.meta/token-base"});
  store = make_store(kBase);
  StoreClient(*store).put("a", "");
  auto second = make_store();
  auto other = make_store(kBase + 1);

  EXPECT_EQ(etcd.etcdctl({"get", "--print-value-only", "/shared-lock.meta/token-base"}), "5000000000\n");
  EXPECT_EQ(store->token_base(), kBase);
  StoreClient(*second).put("a", "");
  EXPECT_EQ(second->token_base(), kBase);
  auto refused = run_task(other->get("a", Deadline::never()));
  EXPECT_EQ(error_of(refused), Errc::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("5000000000"));
}

TEST_F(EtcdDataAlone, AWatchGoesOnAfterARestartOfEtcd) {
  WatchLog watch(*store, "/a/");
  client.put("/a/1", "");
  ASSERT_TRUE(watch.reaches(client.state_under("/a/")));

  etcd.member(0).kill();
  etcd.member(0).start();
  etcd.etcdctl({"put", "/a/2", "by another program"});
  etcd.etcdctl({"del", "/a/1"});

  EXPECT_TRUE(watch.reaches(client.state_under("/a/")));
  EXPECT_THAT(watch.state(), ::testing::SizeIs(1));
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TEST_F(EtcdDataAlone, AWatchSaysThatItIsNotLiveWhileEtcdIsStopped) {
  std::atomic<bool> live = false;
  Subscription watch = store->watch("/a/", std::nullopt, [&](const WatchEvent& event) {
    if (auto* liveness = std::get_if<Liveness>(&event)) live = liveness->live;
  });
  ASSERT_TRUE(eventually([&] { return live.load(); })) << "once it has shown that it is caught up";

  etcd.member(0).stop();
  EXPECT_TRUE(eventually([&] { return !live; }));
  etcd.member(0).resume();
  EXPECT_TRUE(eventually([&] { return live.load(); }));
}

TEST_F(EtcdDataAlone, SafetyR08_WithoutEtcdALeaseIsLostOnlyOnceItMayHaveEnded) {
  auto granted = std::get<LeaseGrant>(grant("key", Ttl{4}).value());
  auto sent = clock.boot_now();

  etcd.member(0).kill();

  auto known = keep_alive(granted.id);
  ASSERT_LT(clock.boot_now() - sent, seconds(4));
  EXPECT_TRUE(outcome_unknown(*error_of(known)));
  EXPECT_EQ(error_of(keep_alive(LeaseId{12345})), Errc::lease_not_found) << "nothing is known of it";
  EXPECT_TRUE(eventually([&] { return error_of(keep_alive(granted.id)) == Errc::lease_not_found; }));
  EXPECT_GE(clock.boot_now() - sent, seconds(4) - std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace sharedlock::test
