#include "base/retries.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>

#include "base/io_threads.h"
#include "base/use_task.h"
#include "support/eventually.h"

namespace sharedlock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::eventually;

// What is tried: it succeeds once `works`, and never more than `most` run at once.
struct Attempts {
  std::atomic<bool> works = false;
  std::atomic<int> tried = 0;
  std::atomic<int> done = 0;
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;

  Task<bool> attempt(Executor executor, milliseconds span) {
    ++tried;
    int now = ++running;
    int before = most;
    while (now > before && !most.compare_exchange_weak(before, now)) {
    }
    asio::steady_timer timer(executor, span);
    co_await timer.async_wait(use_task);
    --running;
    if (works) ++done;
    co_return works;
  }
};

class RetriesTest : public testing::Test {
 protected:
  void add(seconds until = seconds(60), milliseconds span = milliseconds(1)) {
    Executor executor = threads.executor(0);
    BootTime now = clock.boot_now();
    retries->add(executor, [this, executor, span] { return attempts.attempt(executor, span); }, now, now + until);
  }

  SystemClock clock;
  Log log{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  IoThreads threads{1};
  Attempts attempts;
  std::optional<Retries> retries{std::in_place, clock, log, "given up"};
};

TEST_F(RetriesTest, AFailedTaskIsRetriedUntilItSucceeds) {
  for (int i = 0; i < 100; ++i) add();
  ASSERT_TRUE(eventually([&] { return attempts.tried >= 200; }));
  EXPECT_EQ(attempts.done, 0);
  attempts.works = true;
  ASSERT_TRUE(eventually([&] { return attempts.done == 100; }));
  int tried = attempts.tried;
  retries.reset();
  EXPECT_EQ(attempts.tried, tried);
}

TEST_F(RetriesTest, WhatIsAddedWhileItIsJoinedIsGivenUp) {
  Executor executor = threads.executor(0);
  std::atomic<int> added = 0;
  auto adds_more = [this, executor, &added]() -> Task<bool> {
    ++added;
    retries->add(
        executor, [this, executor] { return attempts.attempt(executor, milliseconds(1)); }, clock.boot_now(),
        BootTime::max());
    return attempts.attempt(executor, milliseconds(100));
  };
  attempts.works = true;
  for (int i = 0; i < 3; ++i) retries->add(executor, adds_more, clock.boot_now() + milliseconds(20), BootTime::max());
  retries->join();
  EXPECT_EQ(added, 3) << "once more, as after stop()";
  EXPECT_EQ(attempts.tried, 3) << "nothing that they added";
  add();
  retries->join();
  EXPECT_EQ(attempts.tried, 3);
}

TEST_F(RetriesTest, FewRunAtOnceAndRarely) {
  auto begun = clock.boot_now();
  for (int i = 0; i < 100; ++i) add(seconds(60), milliseconds(50));
  ASSERT_TRUE(eventually([&] { return attempts.tried >= 150; }));
  EXPECT_EQ(attempts.most, 16);
  ASSERT_TRUE(eventually([&] { return clock.boot_now() - begun >= seconds(2); }));
  EXPECT_LT(attempts.tried, 100 * 5) << "at 0, 0.1, 0.3, 0.7 and 1.5 s";
}

TEST_F(RetriesTest, ATaskPastItsDeadlineIsNotRetried) {
  add(seconds(1));
  ASSERT_TRUE(eventually([&] { return attempts.tried >= 2; }));
  auto until = clock.boot_now() + milliseconds(1500);
  ASSERT_TRUE(eventually([&] { return clock.boot_now() >= until; }));
  int tried = attempts.tried;
  attempts.works = true;
  until += milliseconds(1500);
  ASSERT_TRUE(eventually([&] { return clock.boot_now() >= until; }));
  EXPECT_EQ(attempts.tried, tried);
}

TEST_F(RetriesTest, TheEndDropsFailedTasksButTriesNewOnes) {
  add();
  ASSERT_TRUE(eventually([&] { return attempts.tried >= 2; }));
  attempts.works = true;
  for (int i = 0; i < 10; ++i) add();
  auto begun = clock.boot_now();
  retries.reset();
  EXPECT_LT(clock.boot_now() - begun, seconds(1));
  EXPECT_GE(attempts.done, 10);
}

}  // namespace
}  // namespace sharedlock
