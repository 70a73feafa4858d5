// What docs/operations.md tells operators to do: restoring etcd, and moving to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <future>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/asking.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

using testing::AllOf;
using testing::Gt;
using testing::HasSubstr;
using testing::Le;
using testing::Not;

std::int64_t token_of(const TestResponse& response) {
  return std::stoll(response.header("x-fencing-token").value_or("0"));
}

// Every request is answered as unknown, and /ready says why.
void expect_lost(ServiceOnEtcd& service) {
  ASSERT_TRUE(eventually([&] { return service.ready().body.find("forgotten") != std::string::npos; }))
      << service.ready().body << service.server().err();
  EXPECT_EQ(service.ready().status, 503);
  EXPECT_EQ(service.ask("GET", "/health").status, 200);
  EXPECT_EQ(service.grant("forgotten").status, 500);
  EXPECT_EQ(service.acquire("forgotten", "instance-2").status, 503);
  EXPECT_EQ(service.acquire("other", "instance-2").status, 503);
  EXPECT_EQ(service.look("forgotten").status, 503);
}

bool is_marked(EtcdServer& etcd) {
  return stored(etcd, "/shared-lock.meta/lost").found;
}

Ended accept(EtcdServer& etcd) {
  return run_program({.arguments = {"store", "accept"}, .environment = ServiceOnEtcd::environment(etcd.endpoints())});
}

// A server that begins anew closes its connections, and has no port for a moment; the status is then 0.
template <class Ask>
TestResponse try_to(Ask ask) {
  try {
    return ask();
  } catch (const std::runtime_error&) {
    return {};
  }
}

bool serves_again(ServiceOnEtcd& service) {
  auto is_ready = [&] { return try_to([&] { return service.ready(); }).status == 200; };
  return eventually(is_ready, std::chrono::seconds(30));
}

// For no longer than was promised before. A try in the moment of the loss has no answer, and counts as promised.
bool acquires(ServiceOnEtcd& service, const std::string& instance, std::int64_t& token) {
  auto acquired = try_to([&] { return service.acquire("forgotten", instance, 12); });
  if (acquired.status == 200) token = token_of(acquired);
  return acquired.status == 200;
}

TEST(EtcdRestore, AServerThatStillRunsRefusesARestoredEtcd) {
  TemporaryDirectory directory;
  EtcdServer etcd;
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  etcd.save(directory / "snapshot");
  auto granted = service.grant("forgotten", 300);
  ASSERT_EQ(granted.status, 201);
  etcd.restore(directory / "snapshot");
  ASSERT_FALSE(stored(etcd, "/shared-lock/forgotten").found);
  // Also if etcd's revision is ahead by now, so that its answers don't look like old ones.
  for (int i = 0; i < 12; ++i) etcd.etcdctl({"put", "other", std::to_string(i)});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(service.grant("forgotten").status, 500);
    EXPECT_EQ(service.acquire("forgotten", "instance-1").status, 503);
  }
  EXPECT_FALSE(stored(etcd, "/shared-lock/forgotten").found);
  EXPECT_THAT(service.slowest(), Le(kAnswered));
  expect_lost(service);

  // The mark outlives the server, and lasts as long as what was promised.
  ASSERT_TRUE(eventually([&] { return is_marked(etcd); }));
  auto mark = stored_lease(etcd, stored(etcd, "/shared-lock.meta/lost").lease);
  EXPECT_THAT(mark.granted, AllOf(Gt(200), Le(302)));
  EXPECT_EQ(service.server().stop(), 0);
  ServiceOnEtcd restarted(etcd);
  expect_lost(restarted);
  auto accepted = accept(etcd);
  EXPECT_EQ(accepted.exit_code, 0) << accepted.err;
  EXPECT_THAT(accepted.out, HasSubstr("etcd was marked"));
  ASSERT_TRUE(serves_again(restarted)) << restarted.server().err();
  auto again = restarted.grant("forgotten");
  EXPECT_EQ(again.status, 201);
  EXPECT_THAT(token_of(again), Gt(token_of(granted)));
}

TEST(EtcdRestore, SafetyR32_AWipedEtcdIsRefusedByAllServersUntilWhatWasPromisedIsOver) {
  EtcdServer etcd;
  ServiceOnEtcd first(etcd);
  ServiceOnEtcd second(etcd);
  ASSERT_TRUE(first.becomes_ready());
  ASSERT_TRUE(second.becomes_ready());
  auto promised = std::chrono::steady_clock::now() + std::chrono::seconds(12);
  auto held = first.acquire("forgotten", "instance-1", 12);
  ASSERT_EQ(held.status, 200);
  auto waiter = std::async(std::launch::async, [&] {
    return first.server().ask("POST", "/v1/space/lock/forgotten/acquire",
                              R"({"instanceId":"instance-3","leaseDuration":9,"wait":60})");
  });
  ASSERT_TRUE(eventually([&] { return first.metric("shared_lock_lock_waiters") == 1; }));
  etcd.wipe();
  auto told = waiter.get();
  EXPECT_EQ(told.status, 503);
  EXPECT_THAT(told.body, HasSubstr("Lock store unavailable"));
  EXPECT_LT(std::chrono::steady_clock::now(), promised) << "who waits is told at once";
  std::int64_t token = 0;
  ASSERT_TRUE(eventually([&] { return acquires(second, "instance-2", token); }, std::chrono::seconds(60)))
      << second.server().err();
  EXPECT_GE(std::chrono::steady_clock::now(), promised);
  EXPECT_THAT(token, Gt(token_of(held)));
  EXPECT_TRUE(serves_again(first)) << first.server().err();
  EXPECT_EQ(first.acquire("forgotten", "instance-1").status, 423);
}

TEST(EtcdRestore, SafetyR32_ASnapshotThatWentOnIsRefusedByTheOtherServerToo) {
  TemporaryDirectory directory;
  EtcdServer etcd;
  ServiceOnEtcd first(etcd);
  ServiceOnEtcd second(etcd);
  ASSERT_TRUE(first.becomes_ready());
  ASSERT_TRUE(second.becomes_ready());
  etcd.save(directory / "snapshot");
  auto promised = std::chrono::steady_clock::now() + std::chrono::seconds(12);
  ASSERT_EQ(first.acquire("forgotten", "instance-1", 12).status, 200);
  // Only the other server knows of it when etcd comes back. It looks four times a second, and is asked before it can
  // have looked again, so the first request on the new connection is what shows the loss.
  auto looked = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  (void)eventually([&] { return std::chrono::steady_clock::now() >= looked; });
  first.process().signal(SIGKILL);
  second.process().signal(SIGSTOP);
  etcd.restore(directory / "snapshot");
  for (int i = 0; i < 12; ++i) etcd.try_etcdctl({"put", "other", std::to_string(i)});
  Asking at_once(second.server(), "/v1/space/lock/forgotten/acquire",
                 R"({"instanceId":"instance-2","leaseDuration":9})");
  second.process().signal(SIGCONT);
  EXPECT_EQ(at_once.answer().status, 503) << second.server().err();
  std::int64_t token = 0;
  ASSERT_TRUE(eventually([&] { return acquires(second, "instance-2", token); }, std::chrono::seconds(60)))
      << second.server().err();
  EXPECT_GE(std::chrono::steady_clock::now(), promised);
}

// The snapshot has queue entries that no server keeps. One client comes back to its entry; the other does not, and
// blocks no other request.
TEST(EtcdRestore, SafetyR37_KeptEntriesOutliveALossOrGo) {
  TemporaryDirectory directory;
  EtcdServer etcd;
  ServiceOnEtcd first(etcd);
  ServiceOnEtcd second(etcd);
  ASSERT_TRUE(first.becomes_ready());
  ASSERT_TRUE(second.becomes_ready());
  auto waits = [](ServiceOnEtcd& service, const std::string& instance) {
    std::string body = R"({"instanceId":")" + instance + R"(","leaseDuration":300,"wait":60,"keepPlace":10})";
    return service.server().ask("POST", "/v1/space/lock/forgotten/acquire", body);
  };
  auto waiters = [&](int number) {
    return second.look("forgotten").body.find(R"("waiters":)" + std::to_string(number)) != std::string::npos;
  };
  ASSERT_EQ(first.acquire("forgotten", "instance-1", 300).status, 200);
  auto back_soon = std::async(std::launch::async, waits, std::ref(first), "instance-2");
  auto never_back = std::async(std::launch::async, waits, std::ref(first), "instance-3");
  ASSERT_TRUE(eventually([&] { return waiters(2); }));
  etcd.save(directory / "snapshot");
  ASSERT_EQ(first.acquire("other", "instance-1", 300).status, 200);
  etcd.restore(directory / "snapshot");
  EXPECT_EQ(back_soon.get().status, 503);
  EXPECT_EQ(never_back.get().status, 503);
  ASSERT_EQ(accept(etcd).exit_code, 0);
  auto releases = [&] { return try_to([&] { return second.release("forgotten", "instance-1"); }).status == 200; };
  ASSERT_TRUE(eventually(releases, std::chrono::seconds(30))) << second.server().err();
  auto comes_back = [&] { return try_to([&] { return waits(second, "instance-2"); }).status == 200; };
  EXPECT_TRUE(eventually(comes_back, std::chrono::seconds(30))) << second.server().err();
  auto newcomer = std::async(std::launch::async, waits, std::ref(second), "instance-4");
  EXPECT_EQ(second.release("forgotten", "instance-2").status, 200);
  EXPECT_EQ(newcomer.get().status, 200) << second.server().err();
  EXPECT_TRUE(eventually([&] { return waiters(0); })) << second.look("forgotten").body;
}

TEST(EtcdRestore, SafetyR32_OneRestoredAsAnotherClusterIsMarkedToo) {
  TemporaryDirectory directory;
  EtcdServer etcd;
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  etcd.save(directory / "snapshot");
  ASSERT_EQ(service.acquire("forgotten", "instance-1", 300).status, 200);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(service.acquire("other", "instance-1", 300).status, 200);
  etcd.restore(directory / "snapshot", EtcdServer::As::another_cluster);
  ASSERT_TRUE(eventually([&] { return is_marked(etcd); })) << service.server().err();
  // Were all servers to end now, no server would know how high tokens must begin.
  EXPECT_EQ(stored(etcd, "/shared-lock.meta/token-base").mod_revision,
            stored(etcd, "/shared-lock.meta/lost").mod_revision);
  expect_lost(service);
  service.process().signal(SIGKILL);
  ServiceOnEtcd restarted(etcd);
  expect_lost(restarted);
  EXPECT_EQ(accept(etcd).exit_code, 0);
  EXPECT_TRUE(serves_again(restarted)) << restarted.server().err();
}

// Its other members are added later, or never.
TEST(EtcdRestore, SafetyR32_OneRestoredWithFewerMembersIsMarkedToo) {
  TemporaryDirectory directory;
  EtcdServer etcd({.members = 3});
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  etcd.save(directory / "snapshot");
  ASSERT_EQ(service.acquire("forgotten", "instance-1", 300).status, 200);
  etcd.restore(directory / "snapshot");
  ASSERT_TRUE(eventually([&] { return is_marked(etcd); }, std::chrono::seconds(30))) << service.server().err();
  expect_lost(service);
  service.process().signal(SIGKILL);
  ServiceOnEtcd restarted(etcd);
  expect_lost(restarted);
  EXPECT_EQ(accept(etcd).exit_code, 0);
  EXPECT_TRUE(serves_again(restarted)) << restarted.server().err();
}

TEST(EtcdRestore, SafetyR32_EndedPromisesAreForgottenWithoutAMark) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  std::int64_t before = 0;
  for (int i = 0; i < 30; ++i) before = token_of(service.acquire("forgotten", "instance-1", 1));
  etcd.member(0).kill();
  ASSERT_TRUE(eventually([&] { return service.acquire("forgotten", "instance-1", 1).status == 503; }));
  etcd.wipe();
  std::int64_t token = 0;
  ASSERT_TRUE(eventually([&] { return acquires(service, "instance-2", token); })) << service.server().err();
  EXPECT_THAT(token, Gt(before));
}

TEST(EtcdRestore, SafetyR32_NoFalseAlarm) {
  EtcdServer etcd({.members = 3});
  ServiceOnEtcd service(etcd,
                        {{"LOCKER_ETCD_AUTH_USERNAME", "lockservice"}, {"LOCKER_ETCD_AUTH_PASSWORD", "secret-one"}});
  ASSERT_TRUE(service.becomes_ready()) << service.server().err();
  auto works = [&] { return service.acquire("held", "instance-1").status == 200; };
  auto goes_on = [&] { return eventually(works, std::chrono::seconds(30)); };
  ASSERT_TRUE(works());
  std::size_t leader = etcd.leader();
  etcd.member(leader).kill();
  ASSERT_TRUE(goes_on()) << "another leader";
  etcd.member(leader).start();
  etcd.replace(leader);
  ASSERT_TRUE(goes_on()) << "another member";
  etcd.etcdctl({"defrag"});
  etcd.etcdctl({"compact", std::to_string(stored(etcd, "locks/space:held").mod_revision)});
  etcd.etcdctl({"del", "--prefix", "/shared-lock.meta/epochs/"});
  ASSERT_TRUE(goes_on()) << "compacted, and without an epoch";
  etcd.enable_authentication("lockservice", "secret-one");
  ASSERT_TRUE(goes_on()) << "with authentication";
  etcd.disable_authentication();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(goes_on()) << "without it again";
  EXPECT_THAT(service.server().err(), Not(HasSubstr("forgotten")));
  EXPECT_FALSE(is_marked(etcd));
}

TEST(EtcdRestore, SafetyR32_ATokenBaseThatIsErasedCountsAsLost) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  ASSERT_EQ(service.acquire("held", "instance-1").status, 200);
  EXPECT_FALSE(etcd.etcdctl({"get", "--prefix", "/shared-lock.meta/witness/"}).empty());
  etcd.etcdctl({"del", "/shared-lock.meta/token-base"});
  EXPECT_TRUE(eventually([&] { return service.acquire("held", "instance-1").status == 503; }));
  expect_lost(service);
}

TEST(EtcdRestore, SafetyR31_AServerTakesUpABaseThatIsRaised) {
  EtcdServer etcd;
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  etcd.etcdctl({"put", "/shared-lock.meta/token-base", "5000000"});
  std::int64_t token = 0;
  ASSERT_TRUE(eventually([&] { return acquires(service, "instance-1", token) && token > 5000000; }))
      << token << service.server().err();
  EXPECT_FALSE(is_marked(etcd));
}

TEST(EtcdRestore, SafetyR31_ABaseMayBeWrittenInSeveralWays) {
  EtcdServer etcd;
  etcd.etcdctl({"put", "/shared-lock.meta/token-base", "0100"});
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  auto first = service.acquire("held", "instance-1");
  EXPECT_EQ(first.status, 200) << service.server().err();
  etcd.etcdctl({"put", "/shared-lock.meta/token-base", "100"});
  etcd.etcdctl({"del", "--prefix", "/shared-lock.meta/epochs/"});
  EXPECT_TRUE(eventually([&] { return service.acquire("held", "instance-1").status == 200; }));
  EXPECT_EQ(service.ready().status, 200) << service.server().err();
  EXPECT_FALSE(is_marked(etcd));
}

TEST(EtcdRestore, AnotherKeyPrefixInUseIsWarnedOfOnce) {
  EtcdServer etcd;
  ServiceOnEtcd first(etcd);
  ASSERT_TRUE(first.becomes_ready());
  ServiceOnEtcd second(etcd, {{"LOCKER_ETCD_KEY_PREFIX", "typo/"}});
  ASSERT_TRUE(second.becomes_ready());
  EXPECT_TRUE(second.server().says("uses another key prefix")) << second.server().err();
  EXPECT_TRUE(first.server().says("uses another key prefix")) << first.server().err();
}

TEST(EtcdRestore, OnlyEtcdCanBeAccepted) {
  auto refused =
      run_program({.arguments = {"store", "accept"}, .environment = {{"SHARED_LOCK_STORAGE_TYPE", "memory"}}});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("only what etcd holds"));
  auto away =
      run_program({.arguments = {"store", "accept"}, .environment = ServiceOnEtcd::environment("http://127.0.0.1:1")});
  EXPECT_EQ(away.exit_code, 1);
  EXPECT_THAT(away.err, HasSubstr("does not answer"));
}

TEST(EtcdRestore, AHigherBaseKeepsTokensGrowing) {
  TemporaryDirectory directory;
  EtcdServer etcd;
  std::int64_t last = 0;
  {
    ServiceOnEtcd service(etcd);
    ASSERT_TRUE(service.becomes_ready());
    etcd.save(directory / "snapshot");
    for (int i = 0; i < 5; ++i) last = token_of(service.acquire("token", "instance-1"));
  }
  etcd.restore(directory / "snapshot");
  etcd.etcdctl({"del", "/shared-lock.meta/token-base"});
  ServiceOnEtcd service(etcd, {{"SHARED_LOCK_TOKEN_BASE", "1000000000"}});
  ASSERT_TRUE(service.becomes_ready()) << service.server().err();
  EXPECT_THAT(token_of(service.acquire("token", "instance-1")), Gt(last));
}

TEST(EtcdMove, FromTheEmbeddedStoreTokensGoOnGrowing) {
  TemporaryDirectory directory;
  std::int64_t last = 0;
  {
    ServerProcess embedded({.environment = {{"SHARED_LOCK_STORAGE_TYPE", "embedded"},
                                            {"SHARED_LOCK_DATA_DIR", (directory / "data").string()},
                                            {"AUTHENTICATION_DISABLED", "true"},
                                            {"SHARED_LOCK_SERVER_ADDRESS", "127.0.0.1"}}});
    last = token_of(embedded.ask("POST", "/lease", R"({"key":"moved"})"));
    EXPECT_EQ(embedded.stop(), 0);
  }
  ASSERT_THAT(last, Gt(0));
  auto now = run_program({.program = "/bin/sh", .arguments = {"-c", "date +%s%6N"}}).out;
  now.pop_back();
  EtcdServer etcd;
  ServiceOnEtcd service(etcd, {{"SHARED_LOCK_TOKEN_BASE", now}});
  ASSERT_TRUE(service.becomes_ready()) << service.server().err();
  EXPECT_THAT(token_of(service.grant("moved")), Gt(last));
}

}  // namespace
}  // namespace sharedlock::test
