// `shared-lock run` when its processes, its server or the way between fail, and when its lock is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "run/run_fixture.h"
#include "support/asking.h"
#include "support/effort.h"
#include "support/eventually.h"
#include "support/slow_link.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// The command ignores SIGTERM, and has a daemon in a session of its own. Both end before the waiter gets the lock.
TEST_F(RunTest, StoppedRunner) {
  Process first(
      shell("trap '' TERM; (setsid sh -c '" + commands.ticking("first") + "' &); " + commands.ticking("first")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("first"); }));
  Process second(shell(commands.ticking("second")));
  first.stop();
  EXPECT_TRUE(eventually([&] { return commands.has_ticks_of("second"); }, seconds(30)));
  EXPECT_GE(commands.first_tick("second") - commands.last_tick("first"), 0.5);
  first.resume();
  EXPECT_EQ(first.wait(), 76) << first.err();
  commands.create("end");
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.overlap(), "");
}

TEST_F(RunTest, KilledRunner) {
  Process first(
      shell("trap '' TERM; (setsid sh -c '" + commands.ticking("first") + "' &); " + commands.ticking("first")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("first"); }));
  Process second(shell(commands.ticking("second")));
  double killed_at = Commands::now();
  first.signal(SIGKILL);
  EXPECT_TRUE(eventually([&] { return commands.has_ticks_of("second"); }, seconds(30)));
  EXPECT_LE(commands.last_tick("first"), killed_at + 1);
  commands.create("end");
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.overlap(), "");
}

TEST_F(RunTest, ServerGone) {
  Process run(shell("trap 'echo 1 > " + commands.file("term") + "' TERM; " + commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  server->process().signal(SIGKILL);
  server->process().wait();
  double killed_at = Commands::now();
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_TRUE(commands.exists("term"));
  EXPECT_GE(commands.last_tick("it"), commands.first_tick("it") + kKilledAfter - 1.5);
  EXPECT_LE(commands.last_tick("it"), killed_at + kKilledAfter + 0.1);
}

// However the command reacts to its SIGTERM.
TEST_F(RunTest, ServerGoneIs76HoweverTheCommandEnds) {
  std::vector<std::unique_ptr<Process>> runs;
  for (const char* on_term : {"exit 0", "exit 5", "trap - TERM; kill -TERM $$"}) {
    std::string id = "it" + std::to_string(runs.size());
    std::string text = "trap '" + std::string(on_term) + "' TERM; " + commands.ticking(id);
    runs.push_back(std::make_unique<Process>(run_of({"demo-" + id, "--ttl", "5s", "--", "/bin/sh", "-c", text})));
    ASSERT_TRUE(eventually([&] { return commands.has_ticks_of(id); }));
  }
  server->process().signal(SIGKILL);
  for (auto& run : runs) EXPECT_EQ(run->wait(), 76) << run->err();
}

// The command and its daemon are gone before the lock is.
TEST_F(RunTest, KilledGuard) {
  Process first(shell("(setsid sh -c '" + commands.ticking("first") + "' &); " + commands.ticking("first")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("first"); }));
  Process second(shell(commands.ticking("second")));
  ASSERT_EQ(::kill(guard_of(first), SIGKILL), 0);
  EXPECT_EQ(first.wait(), 128 + SIGKILL) << first.err();
  // Long enough for what is left of the first to show.
  EXPECT_TRUE(eventually([&] { return commands.last_tick("second") > commands.first_tick("second") + 0.2; }));
  commands.create("end");
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.overlap(), "");
}

// No process is left that could run the command, so the wait in the queue ends.
TEST_F(RunTest, KilledGuardOfOneThatWaits) {
  Process holder(shell("exec sleep 100"));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  Process waiter(shell("true"));
  ASSERT_TRUE(eventually([&] { return is_queued(1); }));
  ASSERT_EQ(::kill(guard_of(waiter), SIGKILL), 0);
  EXPECT_EQ(waiter.wait(), 128 + SIGKILL) << waiter.err();
  EXPECT_TRUE(eventually([&] { return !is_queued(1); }));
}

// The runner does what a stopped guard does not.
TEST_F(RunTest, StoppedGuard) {
  Process run(shell("trap '' TERM; (setsid sh -c '" + commands.ticking("it") + "' &); " + commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(::kill(guard_of(run), SIGSTOP), 0);
  server->process().signal(SIGKILL);
  double killed_at = Commands::now();
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_LE(commands.last_tick("it"), killed_at + kKilledAfter + 0.5);
}

// The guard does not hear of the loss.
TEST_F(RunTest, ForcedReleaseWhileTheGuardStandsStill) {
  Process run(shell(commands.ticking("it"), {"--ttl", "9s"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(::kill(guard_of(run), SIGSTOP), 0);
  ASSERT_EQ(force_release(), 200);
  double forced_at = Commands::now();
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_LE(commands.last_tick("it"), forced_at + 4.5);  // the next renewal, and some
}

TEST_F(RunTest, ACommandThatEndedInTimeHasItsExitCodeWhenTheRunnerStoodStill) {
  Process run(shell("echo 1 > " + commands.file("up") + "; sleep 0.2; exit 3"));
  ASSERT_TRUE(commands.appears("up"));
  run.stop();
  double begin = Commands::now();
  ASSERT_TRUE(eventually([&] { return Commands::now() > begin + kTtl + 0.5; }));
  run.resume();
  EXPECT_EQ(run.wait(), 3) << run.err();
}

TEST_F(RunTest, ServerGoneWithoutSigterm) {
  Process run(shell("trap 'echo 1 > " + commands.file("term") + "' TERM; " + commands.ticking("it"),
                    {"--ttl", "5s", "--on-lost", "kill"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  server->process().signal(SIGKILL);
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_FALSE(commands.exists("term"));
}

TEST_F(RunTest, ServerRestartsInTime) {
  SlowLink link("127.0.0.1", server->port());
  ProcessOptions options = shell(commands.ticking("it"), {"--ttl", "12s"});
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process run(options);
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  server->process().signal(SIGKILL);
  server->process().wait();
  link.lead_to(server->port());
  ASSERT_TRUE(eventually([&] { return run.err().find("trying on") != std::string::npos; }));
  server.emplace(serving(data));
  link.lead_to(server->port());
  EXPECT_TRUE(eventually([&] { return run.err().find("renewed again") != std::string::npos; }));
  commands.create("end");
  EXPECT_EQ(run.wait(), 0) << run.err();
  EXPECT_FALSE(is_held());
}

// Answers that come later than a renewal may take are no renewals.
TEST_F(RunTest, SlowServer) {
  SlowLink link("127.0.0.1", server->port());
  ProcessOptions options = shell("trap '' TERM; " + commands.ticking("first"));
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process first(options);
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("first"); }));
  Process second(shell(commands.ticking("second")));
  link.delay(std::chrono::milliseconds(6000));
  EXPECT_EQ(first.wait(), 76) << first.err();
  EXPECT_TRUE(eventually([&] { return commands.has_ticks_of("second"); }, seconds(30)));
  commands.create("end");
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.overlap(), "");
}

// Waiting requests have taken every connection: renewals get through all the same.
TEST_F(RunTest, SafetyR36_RenewsBesideAnyNumberOfWaiters) {
  server.reset();
  server.emplace(ProcessOptions{.environment = ServerProcess::open_memory(
                                    {{"SHARED_LOCK_MAX_CONNECTIONS", "8"}, {"SHARED_LOCK_MAX_WAITERS", "8"}})});
  Process run(shell(commands.ticking("it"), {"--ttl", "5s"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  std::deque<Asking> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.emplace_back(*server, "/v1/default/lock/demo/acquire",
                         R"({"instanceId":"other-)" + std::to_string(i) + R"(","leaseDuration":9,"wait":60})");
  }
  double full = Commands::now();
  ASSERT_TRUE(eventually([&] { return !run.running() || commands.last_tick("it") > full + kTtl + 1; }));
  for (Asking& other : waiting) EXPECT_TRUE(other.is_silent(0));
  commands.create("end");
  EXPECT_EQ(run.wait(), 0) << run.err();
}

TEST_F(RunTest, AServerThatDrainsIsAskedAgain) {
  Process holder(shell("exec sleep 100"));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  SlowLink link("127.0.0.1", server->port());
  ProcessOptions options = shell("true");
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process waiter(options);
  ASSERT_TRUE(eventually([&] { return look().find("\"waiters\":1") != std::string::npos; }));
  holder.signal(SIGKILL);
  EXPECT_EQ(server->stop(), 0);
  server.emplace(serving(data));
  link.lead_to(server->port());
  EXPECT_EQ(waiter.wait(), 0) << waiter.err();
}

// Longer, with the cuts, than its patience; every cut comes more than a second after the request that it cuts.
TEST_F(RunTest, AWaitOutlastsItsCuts) {
  Process holder(shell(commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  SlowLink link("127.0.0.1", server->port());
  ProcessOptions options = shell("true", {"--ttl", "5s", "--patience", "1s"});
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process waiter(options);
  std::uint64_t before = 0;
  for (int cut = 0; cut < 3; ++cut) {
    ASSERT_TRUE(eventually([&] { return link.delivered() > before && is_queued(1); })) << waiter.err();
    double begin = Commands::now();
    ASSERT_TRUE(eventually([&] { return Commands::now() > begin + 1.3; }));
    before = link.delivered();
    link.lead_to(server->port());
  }
  EXPECT_TRUE(waiter.running()) << waiter.err();
  commands.create("end");
  EXPECT_EQ(waiter.wait(), 0) << waiter.err();
}

// A gateway cuts off the first client in the queue again and again; the second one, without a gateway, does not pass
// it.
TEST_F(RunTest, SafetyR37_AWaitBehindAGatewayThatCutsKeepsItsEntry) {
  Process holder(shell(commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  SlowLink link("127.0.0.1", server->port());
  std::string order = commands.file("order");
  ProcessOptions options = shell("echo first >> " + order);
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process first(options);
  ASSERT_TRUE(eventually([&] { return is_queued(1); }));
  Process second(shell("echo second >> " + order));
  ASSERT_TRUE(eventually([&] { return is_queued(2); }));
  for (int cut = 0; cut < 3; ++cut) {
    std::uint64_t before = link.delivered();
    link.lead_to(server->port());
    ASSERT_TRUE(eventually([&] { return link.delivered() > before; })) << first.err();
  }
  EXPECT_TRUE(is_queued(2));
  commands.create("end");
  EXPECT_EQ(first.wait(), 0) << first.err();
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.text("order"), "first\nsecond\n");
}

// Times are counted by a clock that can't be set.
TEST_F(RunTest, AWallClockThatJumpsChangesNothing) {
  auto set_clock = [this](const std::string& offset) { std::ofstream(commands.file("clock")) << offset << '\n'; };
  set_clock("+0");
  ProcessOptions options = shell(commands.ticking("it"));
  // A sanitizer refuses to start where another library is preloaded before it.
  if (kFullSpeed) options.environment["LD_PRELOAD"] = SHAREDLOCK_FAKETIME;
  options.environment["FAKETIME_TIMESTAMP_FILE"] = commands.file("clock");
  options.environment["FAKETIME_NO_CACHE"] = "1";
  options.environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1";
  Process run(options);
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  double begun = Commands::now();
  for (const char* offset : {"+2h", "-2h"}) {
    set_clock(offset);
    begun += kTtl + 1;
    EXPECT_TRUE(eventually([&] { return commands.last_tick("it") > begun; })) << offset << run.err();
  }
  commands.create("end");
  EXPECT_EQ(run.wait(), 0) << run.err();
}

TEST_F(RunTest, ForcedReleaseKillsAtOnce) {
  Process run(shell("trap 'echo 1 > " + commands.file("term") + "' TERM; " + commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(force_release(), 200);
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_THAT(run.err(), HasSubstr("the lock is lost"));
  EXPECT_FALSE(commands.exists("term"));
}

TEST_F(RunTest, LostIsIgnoredWhenAskedTo) {
  Process run(shell(commands.ticking("it") + "; exit 6", {"--ttl", "5s", "--on-lost", "ignore"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(force_release(), 200);
  EXPECT_TRUE(eventually([&] { return run.err().find("the lock is lost") != std::string::npos; }));
  // Past its time, the runner has nothing to do but wait.
  double begun = Commands::now();
  ASSERT_TRUE(eventually([&] { return Commands::now() > begun + kTtl; }));
  double used = processor_seconds(run);
  ASSERT_TRUE(eventually([&] { return Commands::now() > begun + kTtl + 2; }));
  EXPECT_LE(processor_seconds(run) - used, 0.2);
  commands.create("end");
  EXPECT_EQ(run.wait(), 6) << run.err();
}

}  // namespace
}  // namespace sharedlock::test
