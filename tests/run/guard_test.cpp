// The guard of `shared-lock run` alone, without a lock service.
#include "cli/guard.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <ctime>
#include <filesystem>

#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t boot_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

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
