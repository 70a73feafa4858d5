// What docs/operations.md tells people to do: restoring etcd, and moving to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

using testing::Gt;
using testing::Le;

std::int64_t token_of(const TestResponse& response) {
  return std::stoll(response.header("x-fencing-token").value_or("0"));
}

TEST(EtcdRestore, AServerThatStillRunsRefusesARestoredEtcd) {
  TemporaryDirectory directory;
  EtcdServer etcd;
  ServiceOnEtcd service(etcd);
  ASSERT_TRUE(service.becomes_ready());
  etcd.save(directory / "snapshot");
  ASSERT_EQ(service.grant("forgotten").status, 201);
  etcd.restore(directory / "snapshot");
  ASSERT_FALSE(stored(etcd, "/shared-lock/forgotten").found);
  // Also when it is further by now, so that its answers don't look like old ones.
  for (int i = 0; i < 30; ++i) etcd.etcdctl({"put", "other", std::to_string(i)});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(service.grant("forgotten").status, 500);
    EXPECT_EQ(service.acquire("forgotten", "instance-1").status, 503);
  }
  EXPECT_FALSE(stored(etcd, "/shared-lock/forgotten").found);
  EXPECT_THAT(service.slowest(), Le(kAnswered));

  ServiceOnEtcd restarted(etcd);
  ASSERT_TRUE(restarted.becomes_ready()) << restarted.server().err();
  EXPECT_EQ(restarted.grant("forgotten").status, 201);
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
