#include "base/io_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <memory>
#include <stdexcept>

#include "base/task_group.h"
#include "base/use_task.h"

namespace sharedlock {
namespace {

using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

std::thread::id thread_of(IoThreads& threads, std::size_t index) {
  std::promise<std::thread::id> id;
  asio::post(threads.executor(index), [&id] { id.set_value(std::this_thread::get_id()); });
  return id.get_future().get();
}

TEST(IoThreads, EachExecutorHasAThreadOfItsOwn) {
  IoThreads threads(3);
  ASSERT_EQ(threads.size(), 3u);
  const auto first = thread_of(threads, 0);
  EXPECT_NE(first, std::this_thread::get_id());
  EXPECT_NE(first, thread_of(threads, 1));
  EXPECT_NE(first, thread_of(threads, 2));
  EXPECT_NE(thread_of(threads, 1), thread_of(threads, 2));
  EXPECT_EQ(first, thread_of(threads, 0));
}

TEST(IoThreads, IdleThreadsKeepRunning) {
  IoThreads threads(1);
  const auto first = thread_of(threads, 0);
  EXPECT_EQ(thread_of(threads, 0), first);  // its io_context had no work in between
}

TEST(IoThreads, StopTwiceIsFine) {
  IoThreads threads(2);
  threads.stop();
  threads.stop();
}

TEST(IoThreads, NothingRunsAfterStop) {
  std::atomic<bool> ran = false;
  {
    IoThreads threads(1);
    threads.stop();
    asio::post(threads.executor(0), [&ran] { ran = true; });
  }
  EXPECT_FALSE(ran);
}

Task<void> hop(Executor executor, int times, std::atomic<int>* foreign, std::atomic<int>* ended) {
  const auto home = std::this_thread::get_id();
  for (int i = 0; i < times; ++i) {
    co_await asio::post(executor, use_task);
    if (std::this_thread::get_id() != home) ++*foreign;
  }
  ++*ended;
}

TEST(TaskGroup, JoinWaitsForEveryTaskAndTasksStayOnTheirThread) {
  IoThreads threads(2);
  std::atomic<int> foreign = 0;
  std::atomic<int> ended = 0;
  TaskGroup group;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto executor = threads.executor(i % 2);
    group.spawn(executor, hop(executor, 200, &foreign, &ended));
  }
  group.join();
  EXPECT_EQ(ended, 20);
  EXPECT_EQ(foreign, 0);
  EXPECT_EQ(group.size(), 0u);
}

TEST(TaskGroup, DestructorJoins) {
  IoThreads threads(1);
  std::atomic<int> foreign = 0;
  std::atomic<int> ended = 0;
  {
    TaskGroup group;
    group.spawn(threads.executor(0), hop(threads.executor(0), 200, &foreign, &ended));
  }
  EXPECT_EQ(ended, 1);
}

Task<void> wait_for(std::shared_ptr<Timer> gate) {
  boost::system::error_code ignored;
  co_await gate->async_wait(error_to(ignored));
}

TEST(TaskGroup, SizeCountsTasksThatHaveNotEnded) {
  IoThreads threads(1);
  const auto gate = std::make_shared<Timer>(threads.executor(0), Timer::time_point::max());
  TaskGroup group;
  EXPECT_EQ(group.size(), 0u);
  group.spawn(threads.executor(0), wait_for(gate));
  group.spawn(threads.executor(0), wait_for(gate));
  EXPECT_EQ(group.size(), 2u);
  asio::post(threads.executor(0), [gate] { gate->expires_at(Timer::time_point::min()); });
  group.join();
  EXPECT_EQ(group.size(), 0u);
}

TEST(TaskGroup, CanBeUsedAgainAfterJoin) {
  IoThreads threads(1);
  std::atomic<int> foreign = 0;
  std::atomic<int> ended = 0;
  TaskGroup group;
  group.join();  // nothing to wait for
  for (int round = 1; round <= 3; ++round) {
    group.spawn(threads.executor(0), hop(threads.executor(0), 5, &foreign, &ended));
    group.join();
    EXPECT_EQ(ended, round);
  }
}

Task<void> fail() {
  throw std::runtime_error("nobody handles this");
  co_return;
}

void run_failing_task() {
  IoThreads threads(1);
  TaskGroup group;
  group.spawn(threads.executor(0), fail());
  group.join();
}

TEST(TaskGroupDeathTest, AnEscapedExceptionEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run_failing_task(), "");
}

}  // namespace
}  // namespace sharedlock
