// What the program answers, and when, while its disk hangs, is slow, or fails: on the real store, through every sync.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "crash/faulty_disk.h"
#include "support/eventually.h"
#include "support/server_process.h"

namespace sharedlock::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

// The n-th acquire or grant of either API. Its answer is 200 or 201 if it is granted.
struct Grant {
  std::string target;
  std::string body;
  std::string headers;
};
Grant lease_grant(int n) {
  return {"/lease", R"({"key":"key-)" + std::to_string(n) + R"(","value":"v"})", "x-lease-ttl: 1h\r\n"};
}
Grant lock_grant(int n) {
  return {"/v1/space/lock/lock-" + std::to_string(n) + "/acquire",
          R"({"instanceId":"instance-1","leaseDuration":3600})", ""};
}
Grant grant(int n) {
  return n % 2 == 0 ? lease_grant(n) : lock_grant(n);
}

http::TestResponse ask(const ServerProcess& server, const Grant& grant) {
  return server.ask("POST", grant.target, grant.body, grant.headers);
}
bool is_granted(const http::TestResponse& response) {
  return response.status == 200 || response.status == 201;
}

void send(http::TestClient& client, const Grant& grant) {
  client.send("POST " + grant.target + " HTTP/1.1\r\nHost: x\r\n" + grant.headers +
              "Content-Length: " + std::to_string(grant.body.size()) + "\r\n\r\n" + grant.body);
}

// Whether what that request asked for is held. That is certain, since asking for it again is refused.
bool is_held(const ServerProcess& server, int n) {
  Grant again = grant(n);
  again.body = n % 2 == 0 ? again.body : R"({"instanceId":"another","leaseDuration":60})";
  int status = ask(server, again).status;
  return status == 202 || status == 423;
}

TEST(DiskSync, SafetyR12_EveryGrantIsPrecededByASyncThatBeganAfterTheRequest) {
  FaultyDisk disk;
  ServerProcess server(disk.options());
  for (int n = 0; n < 20; ++n) {
    auto before = disk.syncs();
    ASSERT_TRUE(is_granted(ask(server, grant(n))));
    EXPECT_GT(disk.syncs(), before) << "grant " << n;
  }
}

TEST(DiskSync, SafetyR12_WhileTheDiskHangsOnlyARefusedTryIsAnswered) {
  FaultyDisk disk;
  ServerProcess server(disk.options());
  disk.hang();
  std::vector<http::TestClient> takers;
  for (int n = 0; n < 2; ++n) send(takers.emplace_back(server.connect()), grant(n));
  ASSERT_TRUE(disk.hangs());

  EXPECT_TRUE(eventually([&] { return is_held(server, 0); })) << "refused at once";
  EXPECT_TRUE(eventually([&] { return is_held(server, 1); })) << "refused at once";
  for (http::TestClient& taker : takers) EXPECT_EQ(taker.read_for(100), "") << "not synced, not answered";

  disk.release();
  for (http::TestClient& taker : takers) EXPECT_TRUE(is_granted(taker.read_response()));
}

TEST(DiskSync, SafetyR12_ASlowDiskMakesGrantsSlowAndNothingElse) {
  FaultyDisk disk;
  ServerProcess server(disk.options());
  disk.delay(300);
  auto begun = steady_clock::now();
  ASSERT_TRUE(is_granted(ask(server, lease_grant(0))));
  EXPECT_GE(steady_clock::now() - begun, milliseconds(300));
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
}

// What became of a server of which one sync fails.
struct Outcome {
  bool started = false;
  std::vector<int> granted;
  bool failed = false;
};

// A start, and some grants. After the first that is not answered as granted, no later one may be.
Outcome run_until_failure(const FaultyDisk& disk, int grants) {
  Outcome run;
  std::optional<ServerProcess> server;
  try {
    server.emplace(disk.options());
  } catch (const std::runtime_error& refused) {
    EXPECT_THAT(refused.what(), HasSubstr("shared-lock: "));
    return run;
  }
  run.started = true;
  for (int n = 0; n < grants; ++n) {
    auto response = ask(*server, grant(n));
    if (is_granted(response)) {
      EXPECT_FALSE(run.failed) << "granted after a failed sync";
      run.granted.push_back(n);
    } else {
      EXPECT_EQ(response.status, n % 2 == 0 ? 500 : 503);
      run.failed = true;
    }
  }
  EXPECT_EQ(server->ask("GET", "/ready").status, run.failed ? 503 : 200);
  server->process().signal(SIGKILL);
  server->process().wait();
  return run;
}

TEST(DiskSync, SafetyR13_WhicheverSyncFailsNothingIsAcknowledgedAfterItAndNothingThatWasIsLost) {
  constexpr int kGrants = 4;
  int failed_starts = 0, failed_runs = 0;
  std::uint32_t syncs = 0;
  for (std::uint32_t nth = 1;; ++nth) {
    SCOPED_TRACE("sync " + std::to_string(nth) + " fails");
    FaultyDisk disk;
    disk.fail_sync(nth);
    Outcome run = run_until_failure(disk, kGrants);
    if (disk.syncs() < nth) break;  // there was none
    failed_starts += !run.started;
    failed_runs += run.failed;
    disk.fail_sync(0);

    ServerProcess server(disk.options());
    for (int n : run.granted) EXPECT_TRUE(is_held(server, n)) << "grant " << n;
    EXPECT_EQ(server.ask("GET", "/ready").status, 200);
    ASSERT_LT(nth, 200U);
    syncs = nth;
  }
  std::printf("%u syncs; %d starts and %d runs failed\n", syncs, failed_starts, failed_runs);
  EXPECT_GE(failed_starts, 3);
  EXPECT_GE(failed_runs, kGrants);
}

TEST(DiskSync, SafetyR13_AFullDiskLosesNothingThatWasAcknowledged) {
  FaultyDisk disk;
  {
    ServerProcess server(disk.options());
    EXPECT_TRUE(is_granted(ask(server, grant(0))));
    disk.fill();
    EXPECT_EQ(ask(server, grant(2)).status, 500);
    EXPECT_EQ(ask(server, grant(1)).status, 503);
    EXPECT_TRUE(server.says("No space left on device"));
    EXPECT_THAT(server.ask("GET", "/ready").body, Not(HasSubstr(disk.path().string())));
    disk.make_room();
    EXPECT_EQ(ask(server, grant(2)).status, 500) << "until a restart";
    EXPECT_EQ(server.stop(), 0);
  }
  disk.fill();
  EXPECT_THROW(ServerProcess{disk.options()}, std::runtime_error);
  disk.make_room();
  ServerProcess server(disk.options());
  EXPECT_TRUE(is_held(server, 0));
  EXPECT_TRUE(is_granted(ask(server, grant(2)))) << "what was refused did not happen";
}

TEST(DiskSync, TimingSensitiveTheEndDoesNotWaitForADiskThatHangs) {
  FaultyDisk disk;
  ProcessOptions options = disk.options();
  options.environment["SHARED_LOCK_SERVER_SHUTDOWN_TIMEOUT"] = "1s";
  ServerProcess server(options);
  disk.hang();
  http::TestClient taker = server.connect();
  send(taker, lease_grant(0));
  ASSERT_TRUE(disk.hangs());

  auto begun = steady_clock::now();
  EXPECT_EQ(server.stop(), 1);

  EXPECT_LT(steady_clock::now() - begun, seconds(15));
  EXPECT_THAT(server.err(), HasSubstr("the disk does not answer"));
}

TEST(DiskSync, AStartThatHangsOnTheDiskEndsAtOnce) {
  FaultyDisk disk;
  disk.hang();
  ProcessOptions options = disk.options();
  options.arguments = {"serve", "--port", "0"};
  Process process(options);
  ASSERT_TRUE(disk.hangs());
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(seconds(5)), 128 + SIGTERM);
}

}  // namespace
}  // namespace sharedlock::test
