// An etcd of one member that is away, full, compacted, or another cluster. Each gives a clear error in time, and
// service resumes without a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "store/lease_ids.h"
#include "support/slow_link.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::AnyOf;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;

class EtcdOutage : public testing::Test {
 protected:
  // One member holds no elections, so requests need not wait long.
  static Environment prompt(const Environment& more = {}) {
    Environment environment{{"LOCKER_ETCD_REQUEST_TIMEOUT_MS", "1000"}};
    environment.insert(more.begin(), more.end());
    return environment;
  }
  static constexpr std::chrono::milliseconds kPromptly{2500};

  // Every request of a client is answered in time, and not as if the state were known.
  static void expect_unavailable(ServiceOnEtcd& service) {
    EXPECT_EQ(service.ask("GET", "/health").status, 200);
    auto ready = service.ready();
    EXPECT_EQ(ready.status, 503);
    EXPECT_THAT(ready.body, HasSubstr("not ready: "));
    auto granted = service.grant("outage-key");
    EXPECT_EQ(granted.status, 500);
    EXPECT_EQ(granted.body, "Failed to create lease");
    for (const auto& answer : {service.acquire("outage", "instance-1"), service.renew("outage", "instance-1"),
                               service.release("outage", "instance-1"), service.look("outage")}) {
      EXPECT_EQ(answer.status, 503);
      EXPECT_THAT(answer.body, HasSubstr("Lock store unavailable"));
      EXPECT_TRUE(answer.header("Retry-After"));
    }
    EXPECT_EQ(service.keep_alive("1530347234591243342").status, 204) << "of a lease that we know nothing of (R8)";
    EXPECT_THAT(service.slowest(), Le(kPromptly));
  }

  static void expect_service(ServiceOnEtcd& service, const std::string& name) {
    EXPECT_TRUE(service.becomes_ready()) << service.ready().body << service.server().err();
    auto granted = service.grant(name);
    EXPECT_EQ(granted.status, 201) << granted.body << service.server().err();
    EXPECT_EQ(service.grant(name).status, 202);
    EXPECT_EQ(service.keep_alive(granted.body).status, 200);
    EXPECT_EQ(service.acquire(name, "instance-1").status, 200);
    EXPECT_EQ(service.acquire(name, "instance-2").status, 423);
    EXPECT_EQ(service.release(name, "instance-1").status, 200);
  }
};

TEST_F(EtcdOutage, AwayAtTheStart) {
  EtcdServer etcd;
  etcd.member(0).kill();
  ServiceOnEtcd service(etcd, prompt());
  expect_unavailable(service);
  EXPECT_THAT(service.ready().body, AllOf(HasSubstr(etcd.endpoints()), HasSubstr("SHARED_LOCK_STORAGE_TYPE=embedded")));
  etcd.member(0).start();
  expect_service(service, "after-start");
}

TEST_F(EtcdOutage, DiesInTheMiddle) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd, prompt());
  ASSERT_TRUE(service.becomes_ready());
  auto granted = service.grant("held", 60);
  ASSERT_EQ(service.acquire("held", "instance-1").status, 200);
  etcd.member(0).kill();
  EXPECT_EQ(service.keep_alive(granted.body).status, 500) << "it surely lives: the holder may go on (R8)";
  expect_unavailable(service);
  etcd.member(0).start();
  expect_service(service, "after-death");
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(service.grant("held").status, 202);
  EXPECT_EQ(service.acquire("held", "instance-2").status, 423);
  EXPECT_EQ(service.renew("held", "instance-1").status, 200);
}

TEST_F(EtcdOutage, Hangs) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd, prompt());
  ASSERT_TRUE(service.becomes_ready());
  etcd.member(0).stop();
  expect_unavailable(service);
  etcd.member(0).resume();
  expect_service(service, "after-hanging");
  // A request sent meanwhile may have been carried out; then it is undone.
  EXPECT_TRUE(eventually([&] { return service.grant("outage-key", 2).status == 201; }, seconds(30)));
}

// Of both kinds.
class EtcdOutageOfGrants : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Leases, EtcdOutageOfGrants, testing::Values("shared", "own"),
                         [](const auto& kind) { return std::string(kind.param); });

TEST_P(EtcdOutageOfGrants, SafetyR03_GrantsOfUnknownOutcomeAreEndedWhenEtcdIsBack) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd, {{"LOCKER_ETCD_REQUEST_TIMEOUT_MS", "1500"}, {"SHARED_LOCK_ETCD_LEASES", GetParam()}});
  ASSERT_TRUE(service.becomes_ready());
  std::atomic<std::ptrdiff_t> granted = 0;
  auto grant_until_told_otherwise = [&](int client) {
    for (int i = 0;; ++i) {
      std::string body = R"({"key":"ghost-)" + std::to_string(client) + "-" + std::to_string(i) + "\"}";
      if (service.server().ask("POST", "/lease", body, "x-lease-ttl: 600s\r\n").status != 201) return;
      ++granted;
    }
  };
  std::vector<std::thread> clients;
  for (int client = 0; client < 16; ++client) clients.emplace_back(grant_until_told_otherwise, client);
  EXPECT_TRUE(eventually([&] { return granted >= 100; }));
  etcd.member(0).stop();
  for (std::thread& client : clients) client.join();
  // For longer than a request, and the first try to undo it, take.
  auto back = std::chrono::steady_clock::now() + seconds(3);
  ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() >= back; }));
  etcd.member(0).resume();

  auto keys = [&](const std::string& prefix) {
    std::string all = etcd.etcdctl({"get", "--prefix", "--keys-only", prefix});
    return std::ranges::count(all, '/') / std::ranges::count(prefix, '/');
  };
  // The server's own keys in etcd are under leases that it shares among such keys.
  auto leases = [&] {
    if (std::string_view(GetParam()) == "shared") return keys("/shared-lock.id/");
    auto all = etcd.leases();
    return std::ranges::count_if(all,
                                 [](const auto& id) { return !is_shared_lease(LeaseId{std::stoll(id, nullptr, 16)}); });
  };
  EXPECT_TRUE(eventually([&] { return leases() == granted && keys("/shared-lock/") == granted; }, seconds(30)))
      << granted << " are held, and of leases there are " << leases();
  EXPECT_EQ(service.server().stop(), 0) << service.server().err();
}

TEST_F(EtcdOutage, ASlowEtcdIsWaitedFor) {
  EtcdServer etcd;
  SlowLink link(EtcdServer::address(), etcd.member(0).port());
  ServiceOnEtcd service(link.url(), {{"LOCKER_ETCD_REQUEST_TIMEOUT_MS", "20000"}});
  ASSERT_TRUE(service.becomes_ready());
  ASSERT_EQ(service.acquire("before", "instance-1").status, 200);
  // Each answer takes longer than the first attempt of any call waits.
  link.delay(std::chrono::milliseconds(1200));
  auto granted = service.grant("slow");
  EXPECT_EQ(granted.status, 201) << granted.body;
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(service.acquire("slow", "instance-1").status, 200);
  EXPECT_EQ(service.acquire("slow", "instance-2").status, 423);
  EXPECT_EQ(service.release("slow", "instance-1").status, 200);
}

TEST_F(EtcdOutage, SafetyR08_AKeepaliveIs500AsLongAsTheLeaseSurelyLivesAndThen204) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd, prompt());
  ASSERT_TRUE(service.becomes_ready());
  auto begin = std::chrono::steady_clock::now();
  auto granted = service.grant("short", 4);
  ASSERT_EQ(granted.status, 201);
  etcd.member(0).kill();
  auto answer = service.keep_alive(granted.body);
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, "Failed to prolong lease");
  EXPECT_TRUE(eventually([&] { return service.keep_alive(granted.body).status == 204; }));
  EXPECT_THAT(std::chrono::steady_clock::now() - begin, AllOf(Ge(seconds(3)), Le(seconds(6))));
}

TEST_F(EtcdOutage, AFullQuotaRefusesGrantsAndLetsGo) {
  EtcdServer etcd({.quota_bytes = std::uint64_t{512} * 1024});
  ServiceOnEtcd service(etcd, prompt());
  ASSERT_TRUE(service.becomes_ready());
  auto granted = service.grant("before", 600);
  ASSERT_EQ(service.acquire("before", "instance-1", 600).status, 200);
  const std::string filler(static_cast<std::size_t>(32) * 1024, 'x');
  ASSERT_TRUE(eventually([&] { return etcd.try_etcdctl({"put", "filler", filler}).exit_code != 0; }));

  EXPECT_EQ(service.grant("full").status, 500);
  EXPECT_EQ(service.acquire("full", "instance-1").status, 503);
  EXPECT_TRUE(service.server().says("database space exceeded")) << "the log says why";
  EXPECT_EQ(service.keep_alive(granted.body).status, 500) << "it costs space, and the lease surely lives";
  EXPECT_EQ(service.look("before").status, 200);
  EXPECT_EQ(service.acquire("before", "instance-2").status, 423);
  EXPECT_EQ(service.release("before", "instance-1").status, 200);
  EXPECT_THAT(service.slowest(), Le(kPromptly));

  // As docs/operations.md says.
  auto filled = stored(etcd, "filler").mod_revision;
  etcd.etcdctl({"del", "filler"});
  etcd.etcdctl({"compact", "--physical", std::to_string(filled + 1)});
  etcd.etcdctl({"defrag"});
  etcd.etcdctl({"alarm", "disarm"});
  expect_service(service, "after-full");
}

TEST_F(EtcdOutage, HistoryThatWasCompactedUnderTheWatchIsReadAgain) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd, prompt({{"SHARED_LOCK_CACHE_ENABLED", "true"}}));
  ASSERT_TRUE(service.becomes_ready());
  auto deleted = service.grant("deleted", 600);
  auto kept = service.grant("kept", 600);
  ASSERT_EQ(service.grant("deleted").status, 202);
  ASSERT_EQ(service.keep_alive(deleted.body).status, 200);

  // While etcd is away from us our watch falls behind what etcd remembers.
  service.process().stop();
  etcd.etcdctl({"del", "/shared-lock/deleted"});
  for (int i = 0; i < 10; ++i) etcd.etcdctl({"put", "other", std::to_string(i)});
  etcd.etcdctl({"compact", std::to_string(stored(etcd, "other").mod_revision)});
  etcd.member(0).kill();  // or the watch would still be fed from the old connection
  etcd.member(0).start();
  service.process().resume();

  EXPECT_TRUE(eventually([&] { return service.keep_alive(deleted.body).status == 204; }));
  EXPECT_TRUE(eventually([&] { return service.grant("deleted").status == 201; })) << "the cache knows that it is free";
  EXPECT_EQ(service.keep_alive(kept.body).status, 200);
  auto hits = [&] { return service.metric(R"(shared_lock_cache_operations_total{operation="get",status="hit"})"); };
  double before = hits();
  EXPECT_TRUE(eventually([&] { return service.grant("kept").status == 202 && hits() > before; }))
      << "the watch is live";
  expect_service(service, "after-compaction");
}

// Nothing is served; and nothing is written into either of them.
class TwoClusters : public EtcdOutage {
 protected:
  static std::string list(const std::string& first, const std::string& second) { return first + "," + second; }

  static bool says_why(ServiceOnEtcd& service) {
    auto ready = service.ready();
    return ready.status == 503 && ready.body.find("belong to two clusters") != std::string::npos;
  }
  static void expect_nothing_served(ServiceOnEtcd& service) {
    EXPECT_TRUE(says_why(service)) << service.ready().body;
    EXPECT_EQ(service.grant("whose").status, 500);
    EXPECT_EQ(service.acquire("whose", "instance-1").status, 503);
    EXPECT_EQ(service.look("whose").status, 503);
  }
  static int queues_about(ServiceOnEtcd& service, const std::string& words) {
    const std::string log = service.server().err();
    int queues = 0;
    for (auto at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) ++queues;
    return queues;
  }

  EtcdServer one;
  EtcdServer other;
};

TEST_F(TwoClusters, SafetyR20_TwoClustersInOneListAreNeverServedInEitherOrder) {
  ServiceOnEtcd first(list(one.endpoints(), other.endpoints()), prompt());
  ServiceOnEtcd second(list(other.endpoints(), one.endpoints()), prompt());
  for (int i = 0; i < 5; ++i) {
    for (ServiceOnEtcd* service : {&first, &second}) expect_nothing_served(*service);
  }
  EXPECT_THAT(second.ready().body, HasSubstr(one.endpoints())) << "the reason names the endpoint";
  for (EtcdServer* etcd : {&one, &other}) {
    EXPECT_THAT(etcd->etcdctl({"get", "--prefix", "--keys-only", ""}), IsEmpty());
    EXPECT_THAT(etcd->leases(), IsEmpty());
  }
}

TEST_F(TwoClusters, SafetyR20_AClusterThatAppearsLaterStopsTheServerUntilAllAgree) {
  SlowLink link(EtcdServer::address(), other.member(0).port());
  other.member(0).kill();
  ServiceOnEtcd service(list(one.endpoints(), link.url()), prompt());
  ASSERT_TRUE(service.becomes_ready()) << "one that is away holds nobody up";
  auto granted = service.grant("held", 60);
  ASSERT_EQ(granted.status, 201);

  other.member(0).start();
  EXPECT_TRUE(eventually([&] { return says_why(service); }, seconds(10)));
  expect_nothing_served(service);
  EXPECT_EQ(service.keep_alive(granted.body).status, 500) << "it surely lives";

  // Even when it is away again, it is still known to belong to another cluster.
  other.member(0).kill();
  auto two_looks = std::chrono::steady_clock::now() + seconds(7);
  (void)eventually([&] { return std::chrono::steady_clock::now() >= two_looks; });
  expect_nothing_served(service);
  EXPECT_EQ(queues_about(service, "nothing is served: "), 1);
  link.lead_to(one.member(0).port());
  ASSERT_TRUE(service.becomes_ready()) << service.ready().body;
  EXPECT_EQ(service.keep_alive(granted.body).status, 200);
  EXPECT_EQ(service.grant("held").status, 202);
}

TEST_F(TwoClusters, SafetyR20_AClusterThatReplacesAnotherIsNotWrittenTo) {
  SlowLink link(EtcdServer::address(), one.member(0).port());
  ServiceOnEtcd service(link.url(), prompt());
  ASSERT_TRUE(service.becomes_ready());
  ASSERT_EQ(service.grant("before").status, 201);
  // Its revision is ahead of ours, so that its answers don't look like old ones.
  for (int i = 0; i < 30; ++i) other.etcdctl({"put", "other", std::to_string(i)});
  link.lead_to(other.member(0).port());
  EXPECT_EQ(service.grant("whose").status, 500);
  EXPECT_TRUE(eventually([&] { return says_why(service); }));
  expect_nothing_served(service);
  EXPECT_FALSE(stored(other, "/shared-lock/whose").found);
  EXPECT_THAT(other.leases(), IsEmpty());
}

TEST_F(EtcdOutage, TheServerEndsWhileEtcdHangs) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd, prompt());
  ASSERT_TRUE(service.becomes_ready());
  ASSERT_EQ(service.grant("end").status, 201);
  etcd.member(0).stop();
  auto begin = std::chrono::steady_clock::now();
  service.process().signal(SIGTERM);
  EXPECT_EQ(service.process().wait(), 0) << service.server().err();
  EXPECT_THAT(std::chrono::steady_clock::now() - begin, Le(seconds(15)));
}

// Its last requests may take longer than the shutdown may last. Then the message names what hangs, which is no disk.
TEST_F(EtcdOutage, TimingSensitiveTheEndThatTakesTooLongNamesEtcd) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd,
                        {{"LOCKER_ETCD_REQUEST_TIMEOUT_MS", "60000"}, {"SHARED_LOCK_SERVER_SHUTDOWN_TIMEOUT", "1s"}});
  ASSERT_TRUE(service.becomes_ready());
  etcd.member(0).stop();
  http::TestClient taker = service.server().connect();
  taker.send("POST /lease HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n{\"key\":\"k\"}");
  auto begin = std::chrono::steady_clock::now();
  service.process().signal(SIGTERM);
  EXPECT_EQ(service.process().wait(), 1) << service.server().err();
  EXPECT_THAT(std::chrono::steady_clock::now() - begin, Le(seconds(20)));
  EXPECT_THAT(service.server().err(), AllOf(HasSubstr("etcd does not answer"), Not(HasSubstr("disk"))));
}

TEST_F(EtcdOutage, AnOldEtcdIsWarnedOf) {
  ServiceOnEtcd service(EtcdServer::shared());
  ASSERT_TRUE(service.becomes_ready());
  EXPECT_TRUE(service.server().says("3.4.23"));
  EXPECT_THAT(service.server().err(), HasSubstr(R"("level":"warn")"));
}

}  // namespace
}  // namespace sharedlock::test
