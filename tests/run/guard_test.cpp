// The guard of `shared-lock run` alone, without a lock service.
#include "cli/guard.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "cli/descendants.h"
#include "run/boot_time.h"
#include "support/eventually.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

GuardOrder start_until(std::int64_t kill_at) {
  return {.kind = GuardOrder::Kind::start, .terminate_at = kill_at - kSecond, .kill_at = kill_at, .token = 1};
}

class GuardTest : public testing::Test {
 protected:
  GuardedCommand touch() const { return {.arguments = {"/usr/bin/touch", file}, .environment = {}}; }

  TemporaryDirectory directory;
  std::string file = directory / "file";
};

TEST_F(GuardTest, StartsNothingWhenTheTimeIsOver) {
  for (OnLost on_lost : {OnLost::terminate, OnLost::kill, OnLost::ignore}) {
    Guard guard(touch(), on_lost);
    guard.tell(start_until(boot_now() - 1));
    auto report = guard.read();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->kind, GuardReport::Kind::ended);
    EXPECT_TRUE(report->by_guard);
    EXPECT_FALSE(guard.read()) << "it has ended";
    ::waitpid(guard.pid(), nullptr, 0);
    EXPECT_FALSE(std::filesystem::exists(file));
  }
  Guard guard(touch(), OnLost::terminate);
  guard.tell(start_until(boot_now() + 60 * kSecond));
  auto report = guard.read();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->by_guard);
  EXPECT_TRUE(std::filesystem::exists(file));
  ::waitpid(guard.pid(), nullptr, 0);
}

// Status 0, a status of its own, or the signal's: how the command reacts to SIGTERM does not tell why it ended.
TEST_F(GuardTest, ReportsThatItBeganTheEndHoweverTheCommandTakesSigterm) {
  for (const char* on_term : {"exit 0", "exit 5", "trap - TERM; kill -TERM $$"}) {
    std::string text = "trap '" + std::string(on_term) + "' TERM; while :; do sleep 0.01; done";
    Guard guard({.arguments = {"/bin/sh", "-c", text}, .environment = {}}, OnLost::terminate);
    GuardOrder start = start_until(boot_now() + 60 * kSecond);
    start.terminate_at = boot_now() + kSecond / 5;
    guard.tell(start);
    auto report = guard.read();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->kind, GuardReport::Kind::ended);
    EXPECT_TRUE(report->by_guard) << on_term << ", status " << report->value;
    ::waitpid(guard.pid(), nullptr, 0);
  }
}

// The first signal is for the command; the next one ends what the command left behind.
TEST_F(GuardTest, ASignalThatFoundTheCommandAliveEndsNothingThatItLeft) {
  std::string up = directory / "up";
  std::string end = directory / "end";
  std::string left = "(trap '' TERM; while [ ! -e " + end + " ]; do sleep 0.01; done; echo 1 > " + file + ") & ";
  Guard guard(
      {.arguments = {"/bin/sh", "-c", left + "trap 'exit 3' TERM; echo $$ > " + up + "; while :; do sleep 0.01; done"},
       .environment = {}},
      OnLost::terminate);
  guard.tell(start_until(boot_now() + 60 * kSecond));
  pid_t command = 0;
  ASSERT_TRUE(eventually([&] { return bool(std::ifstream(up) >> command); }));
  // As from a service manager, which sends it to all. The guard's own copy does not come, so the guard waits for it.
  guard.tell({.kind = GuardOrder::Kind::signal, .signal = SIGTERM, .sender = 1});
  ASSERT_EQ(::kill(command, SIGTERM), 0);
  auto report = guard.read();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, GuardReport::Kind::left);
  std::int64_t later = boot_now() + kSecond / 2;
  ASSERT_TRUE(eventually([&] { return boot_now() > later; }));
  std::ofstream(end) << 1;
  report = guard.read();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, GuardReport::Kind::ended);
  EXPECT_EQ(WEXITSTATUS(report->value), 3);
  EXPECT_TRUE(std::filesystem::exists(file)) << "it was not killed";
  ::waitpid(guard.pid(), nullptr, 0);
}

TEST(ControlGroups, AreThoseOfTheServiceManager) {
  auto is_in = [](std::string_view one, std::string_view of) { return is_in_control_group_of(one, of); };
  EXPECT_TRUE(is_in("0::/system.slice/job.service\n", "0::/system.slice/job.service\n"));
  EXPECT_TRUE(is_in("0::/system.slice/job.service/inner\n", "0::/system.slice/job.service\n"));
  EXPECT_FALSE(is_in("0::/system.slice/job.service-2\n", "0::/system.slice/job.service\n"));
  EXPECT_FALSE(is_in("0::/system.slice/run-1.scope\n", "0::/system.slice/job.service\n"));
  EXPECT_TRUE(is_in("0::/a\n", "0::/\n"));
  EXPECT_FALSE(is_in("4:memory:/a\n1:name=systemd:/b\n0::/\n", "4:memory:/a\n1:name=systemd:/a\n0::/\n"));
  EXPECT_TRUE(is_in("4:memory:/a\n1:name=systemd:/b\n", "4:memory:/b\n1:name=systemd:/b\n"));
  EXPECT_TRUE(is_in("", "0::/a\n")) << "not known";
  EXPECT_TRUE(is_in_control_group_of(::getpid(), ::getppid()));
}

// Its time was over only after it had ended by itself, though nobody was awake to see that. On a machine that is busy
// it may take longer to end than it has: then anew, with more time.
TEST_F(GuardTest, DoesNotClaimTheEndOfACommandThatHadEndedBefore) {
  bool ended_in_time = false;
  for (std::int64_t span = kSecond; !ended_in_time && span <= 16 * kSecond; span *= 4) {
    std::string up = directory / "up";
    std::filesystem::remove(file);
    std::string text =
        "echo 1 > " + up + "; while [ -e " + up + " ]; do sleep 0.01; done; echo 1 > " + file + "; exit 3";
    Guard guard({.arguments = {"/bin/sh", "-c", text}, .environment = {}}, OnLost::terminate);
    GuardOrder start = start_until(boot_now() + 60 * kSecond);
    start.terminate_at = boot_now() + span;
    guard.tell(start);
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(up); }));
    ASSERT_EQ(::kill(guard.pid(), SIGSTOP), 0);
    ASSERT_EQ(::waitpid(guard.pid(), nullptr, WUNTRACED), guard.pid());
    std::filesystem::remove(up);
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(file); }));
    ended_in_time = boot_now() < start.terminate_at - span / 4;  // the rest for the end itself
    ASSERT_TRUE(eventually([&] { return boot_now() > start.terminate_at; }));
    ASSERT_EQ(::kill(guard.pid(), SIGCONT), 0);
    auto report = guard.read();
    ASSERT_TRUE(report);
    ::waitpid(guard.pid(), nullptr, 0);
    if (!ended_in_time) continue;
    EXPECT_FALSE(report->by_guard);
    EXPECT_EQ(WEXITSTATUS(report->value), 3);
  }
  EXPECT_TRUE(ended_in_time);
}

TEST_F(GuardTest, OrdersNeverBlockWhileItStandsStill) {
  Guard guard({.arguments = {"/bin/sleep", "100"}, .environment = {}}, OnLost::terminate);
  ASSERT_EQ(::kill(guard.pid(), SIGSTOP), 0);
  ASSERT_EQ(::waitpid(guard.pid(), nullptr, WUNTRACED), guard.pid());
  for (int i = 0; i < 10'000; ++i) guard.tell({.kind = GuardOrder::Kind::signal, .signal = SIGUSR1});
  ::kill(guard.pid(), SIGKILL);
  ::waitpid(guard.pid(), nullptr, 0);
}

}  // namespace
}  // namespace sharedlock::test
