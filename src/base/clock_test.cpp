#include "base/clock.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/manual_clock.h"

namespace sharedlock {
namespace {

using namespace std::chrono_literals;

TEST(Clock, SaturatingAddAdds) {
  EXPECT_EQ(saturating_add(BootTime(5s), 10s), BootTime(15s));
  EXPECT_EQ(saturating_add(BootTime(5s), 0s), BootTime(5s));
  EXPECT_EQ(saturating_add(BootTime(1s), 9'000'000'000s), BootTime(9'000'000'001s));
}

TEST(Clock, SaturatingAddStopsAtTheEndOfTheTimeLine) {
  EXPECT_EQ(saturating_add(BootTime(1'000'000'000s), 9'000'000'000s), BootTime::max());
  EXPECT_EQ(saturating_add(BootTime(0s), std::chrono::seconds::max()), BootTime::max());
  EXPECT_EQ(saturating_add(BootTime::max(), 1s), BootTime::max());
  EXPECT_EQ(Deadline::never().at, BootTime::max());
}

TEST(SystemClock, BootTimeNeverGoesBack) {
  const SystemClock clock;
  auto before = clock.boot_now();
  EXPECT_GT(before, BootTime{});
  for (int i = 0; i < 1000; ++i) {
    const auto now = clock.boot_now();
    ASSERT_GE(now, before);
    before = now;
  }
}

TEST(SystemClock, WallTimeIsTheSystemsTime) {
  const SystemClock clock;
  const auto before = std::chrono::system_clock::now();
  const auto wall = clock.wall_now();
  const auto after = std::chrono::system_clock::now();
  EXPECT_GE(wall, before - 100ms);  // the kernel's clocks may be read at different resolutions
  EXPECT_LE(wall, after + 100ms);
}

TEST(SystemClock, WaitsUntilTheTimeHasCome) {
  SystemClock clock;
  std::mutex mutex;
  std::condition_variable wake;
  std::unique_lock lock(mutex);
  const auto until = clock.boot_now() + 20ms;
  while (clock.boot_now() < until) clock.wait_until(lock, wake, until);
  EXPECT_GE(clock.boot_now(), until);
  EXPECT_TRUE(lock.owns_lock());
}

TEST(SystemClock, DoesNotWaitForThePast) {
  SystemClock clock;
  std::mutex mutex;
  std::condition_variable wake;
  std::unique_lock lock(mutex);
  const auto start = clock.boot_now();
  for (int i = 0; i < 100; ++i) clock.wait_until(lock, wake, start);
  EXPECT_LT(clock.boot_now() - start, 900ms);  // one wait alone would last up to a second
}

TEST(SystemClock, WaitEndsWhenNotified) {
  SystemClock clock;
  std::mutex mutex;
  std::condition_variable wake;
  bool flag = false;
  std::thread notifier([&] {
    std::scoped_lock lock(mutex);
    flag = true;
    wake.notify_all();
  });
  {
    std::unique_lock lock(mutex);
    while (!flag) clock.wait_until(lock, wake, BootTime::max());
  }
  notifier.join();
  EXPECT_TRUE(flag);
}

TEST(ManualClock, StandsStillUntilMoved) {
  const ManualClock clock;
  EXPECT_EQ(clock.boot_now(), BootTime(1000s));
  EXPECT_EQ(clock.boot_now(), BootTime(1000s));
  EXPECT_EQ(clock.wall_now(), WallTime(std::chrono::sys_days(std::chrono::year(2025) / 1 / 1)));
}

TEST(ManualClock, AdvanceMovesBothTimeLines) {
  ManualClock clock;
  const auto wall = clock.wall_now();
  clock.advance(1500ms);
  EXPECT_EQ(clock.boot_now(), BootTime(1001500ms));
  EXPECT_EQ(clock.wall_now(), wall + 1500ms);
}

TEST(ManualClock, SetWallLeavesBootTimeAlone) {
  ManualClock clock;
  clock.set_wall(WallTime(5s));
  EXPECT_EQ(clock.wall_now(), WallTime(5s));
  EXPECT_EQ(clock.boot_now(), BootTime(1000s));
}

TEST(ManualClock, WaiterSeesAnAdvance) {
  ManualClock clock;
  const auto until = clock.boot_now() + 1h;
  std::thread waiter([&] {
    std::mutex mutex;
    std::condition_variable wake;
    std::unique_lock lock(mutex);
    while (clock.boot_now() < until) clock.wait_until(lock, wake, until);
  });
  clock.advance(1h);
  waiter.join();  // hangs, and so fails, when the advance goes unseen
  EXPECT_EQ(clock.boot_now(), until);
}

}  // namespace
}  // namespace sharedlock
