#include "base/task.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/use_task.h"
#include "base/waiting.h"

namespace sharedlock {
namespace {

using boost::system::error_code;
using boost::system::system_error;

// Says when it is gone.
class Trace {
 public:
  explicit Trace(std::vector<std::string>& events) : events_(&events) {}
  Trace(Trace&& other) noexcept : events_(std::exchange(other.events_, nullptr)) {}
  Trace& operator=(Trace&&) = delete;
  ~Trace() {
    if (events_ != nullptr) events_->emplace_back("gone");
  }

 private:
  std::vector<std::string>* events_;
};

class TaskTest : public testing::Test {
 protected:
  Executor executor() { return context_->get_executor(); }

  // Runs until nothing is left to do; what escapes it is thrown here.
  void run(Task<void> task) {
    bool ended = false;
    std::exception_ptr escaped;
    spawn(executor(), std::move(task), [&](std::exception_ptr what) {
      ended = true;
      escaped = std::move(what);
    });
    context_->run();
    EXPECT_TRUE(ended);
    if (escaped) std::rethrow_exception(escaped);
  }

  std::unique_ptr<asio::io_context> context_ = std::make_unique<asio::io_context>(1);
  std::vector<std::string> events_;
};

Task<int> sum(int first, int second) {
  co_return first + second;
}

Task<int> sum_later(Executor executor, int first, int second) {
  co_await asio::post(executor, use_task);
  co_return first + second;
}

Task<std::unique_ptr<int>> made(int value) {
  co_return std::make_unique<int>(value);
}

Task<int> fails(std::string why) {
  throw std::runtime_error(why);
  co_return 0;
}

Task<int> fails_later(Executor executor, std::string why) {
  co_await asio::post(executor, use_task);
  throw std::runtime_error(why);
}

// Counts how often it was moved.
class Moved {
 public:
  Moved() = default;
  Moved(Moved&& other) noexcept : times_(other.times_ + 1) {}
  Moved& operator=(Moved&& other) noexcept {
    times_ = other.times_ + 1;
    return *this;
  }
  ~Moved() = default;

  int times() const { return times_; }

 private:
  int times_ = 0;
};

Task<Moved> not_moved_yet() {
  co_return Moved();
}

Task<Moved> passed_on() {
  co_return co_await not_moved_yet();
}

// Has ended when it begins.
class EndedAlready : public TaskAwaitable {
 public:
  explicit EndedAlready(int value) : value_(value) {}
  EndedAlready(const EndedAlready&) = delete;
  EndedAlready& operator=(const EndedAlready&) = delete;

  bool begin(TaskRun&, std::coroutine_handle<>) {
    begun_at_ = this;
    return false;
  }
  int result() const { return begun_at_ == this ? value_ : 0; }

 private:
  const EndedAlready* begun_at_ = nullptr;
  int value_;
};

Task<void> wait_for_ever(Executor executor, Trace /*trace*/) {
  asio::steady_timer timer(executor, std::chrono::hours(1));
  co_await timer.async_wait(use_task);
}

Task<void> await_it(Task<void> task, Trace /*trace*/) {
  co_await std::move(task);
}

TEST_F(TaskTest, GivesItsResultAtOnceOrLater) {
  auto all = [](Executor executor, std::vector<int>* results) -> Task<void> {
    results->push_back(co_await sum(1, 2));
    results->push_back(co_await sum_later(executor, 3, 4));
    auto value = co_await made(5);
    results->push_back(*value);
  };
  std::vector<int> results;
  run(all(executor(), &results));
  EXPECT_EQ(results, (std::vector{3, 7, 5}));
}

TEST_F(TaskTest, MovesItsResultIntoItsFrameAndFromThereToWhereItIsWanted) {
  auto all = [](std::vector<int>* times) -> Task<void> {
    auto made = co_await not_moved_yet();
    times->push_back(made.times());
    Moved assigned;
    assigned = co_await not_moved_yet();
    times->push_back(assigned.times());
    assigned = co_await passed_on();
    times->push_back(assigned.times());
  };
  std::vector<int> times;
  run(all(&times));
  EXPECT_EQ(times, (std::vector{2, 2, 3}));
}

TEST_F(TaskTest, GivesWhatIsKnownAlready) {
  auto all = [](std::vector<int>* results) -> Task<void> {
    auto value = co_await ready_task(std::make_unique<int>(1));
    results->push_back(*value);
    results->push_back(co_await ready_task<int>('a'));
  };
  std::vector<int> results;
  run(all(&results));
  EXPECT_EQ(results, (std::vector{1, 97}));
}

// Of every size, kept or not; what was kept is used again.
TEST(TaskFrameAllocator, ServesVectorsOfEverySize) {
  for (int round = 0; round < 3; ++round) {
    std::vector<std::string, TaskFrameAllocator<std::string>> grown;
    for (std::size_t size = 1; size <= 200; ++size) {
      grown.push_back(std::to_string(size));
      std::vector<std::string, TaskFrameAllocator<std::string>> copy(grown.begin(), grown.end());
      auto moved = std::move(copy);
      ASSERT_EQ(moved, grown);
      ASSERT_EQ(moved.size(), size);
      ASSERT_EQ(moved.back(), std::to_string(size));
    }
  }
}

TEST_F(TaskTest, ThrowsWhatEscapedItWhereItIsAwaited) {
  auto catches = [](Executor executor, std::vector<std::string>* caught) -> Task<void> {
    try {
      co_await fails("at once");
    } catch (const std::runtime_error& failed) {
      caught->emplace_back(failed.what());
    }
    co_await fails_later(executor, "later");
  };
  EXPECT_THROW(run(catches(executor(), &events_)), std::runtime_error);
  EXPECT_EQ(events_, std::vector<std::string>{"at once"});
}

TEST_F(TaskTest, ManyAwaitsInALoopTakeNoStack) {
  auto count = [](Executor executor, int* total) -> Task<void> {
    for (int i = 0; i < 300'000; ++i) *total = co_await sum(*total, 1);
    for (int i = 0; i < 10'000; ++i) *total = co_await sum_later(executor, *total, 1);
  };
  int total = 0;
  run(count(executor(), &total));
  EXPECT_EQ(total, 310'000);
}

TEST_F(TaskTest, WhatHasEndedAlreadyIsNotWaitedFor) {
  auto count = [](int* total) -> Task<void> {
    for (int i = 0; i < 300'000; ++i) *total += co_await EndedAlready(1);
  };
  int total = 0;
  run(count(&total));
  EXPECT_EQ(total, 300'000);
}

TEST_F(TaskTest, AnErrorIsThrownUnlessThereIsAPlaceForIt) {
  auto cancelled = [](Executor executor, error_code* failed) -> Task<void> {
    asio::steady_timer timer(executor, std::chrono::hours(1));
    asio::post(executor, [&timer] { timer.cancel(); });
    co_await timer.async_wait(error_to(*failed));
    asio::post(executor, [&timer] { timer.cancel(); });
    co_await timer.async_wait(use_task);
  };
  error_code failed;
  EXPECT_THROW(run(cancelled(executor(), &failed)), system_error);
  EXPECT_EQ(failed, asio::error::operation_aborted);
}

TEST_F(TaskTest, TakesAValueThatCanOnlyBeMovedFromAnotherThread) {
  auto waits = [](std::thread* thread, std::thread::id* resumed) -> Task<std::unique_ptr<int>> {
    auto begin = [thread](Waiting<std::unique_ptr<int>> waiting) {
      *thread = std::thread([waiting = std::move(waiting)]() mutable { waiting.resume(std::make_unique<int>(7)); });
    };
    auto value = co_await wait_on<std::unique_ptr<int>>(std::move(begin));
    *resumed = std::this_thread::get_id();
    co_return std::move(value);
  };
  auto outer = [](Task<std::unique_ptr<int>> inner, int* got) -> Task<void> {
    auto value = co_await std::move(inner);
    *got = *value;
  };
  std::thread thread;
  std::thread::id resumed;
  int got = 0;
  run(outer(waits(&thread, &resumed), &got));
  thread.join();
  EXPECT_EQ(got, 7);
  EXPECT_EQ(resumed, std::this_thread::get_id());
}

TEST_F(TaskTest, WhatTheStartOfAnOperationThrowsIsThrownByTheAwait) {
  auto begins = [](Executor executor, std::vector<std::string>* caught) -> Task<void> {
    try {
      auto begin = [](Waiting<int>) { throw std::runtime_error("no thread"); };
      co_await wait_on<int>(begin);
    } catch (const std::runtime_error& failed) {
      caught->emplace_back(failed.what());
    }
    co_await asio::post(executor, use_task);
    caught->emplace_back("goes on");
  };
  run(begins(executor(), &events_));
  EXPECT_EQ(events_, (std::vector<std::string>{"no thread", "goes on"}));
}

TEST_F(TaskTest, ARunThatNothingWillResumeIsDestroyedOnItsExecutor) {
  auto waits = [](Waiting<int>* kept, Trace /*trace*/) -> Task<void> {
    auto begin = [kept](Waiting<int> waiting) {
      if (kept != nullptr) *kept = std::move(waiting);  // else it is dropped
    };
    co_await wait_on<int>(begin);
  };
  Waiting<int> kept;
  spawn(executor(), waits(nullptr, Trace(events_)), [](std::exception_ptr) {});
  spawn(executor(), waits(&kept, Trace(events_)), [](std::exception_ptr) {});
  context_->poll();
  EXPECT_EQ(events_.size(), 1u);
  std::thread([&] { kept = {}; }).join();
  EXPECT_EQ(events_.size(), 1u) << "another thread touches nothing of it";
  context_->run();
  EXPECT_EQ(events_.size(), 2u);
}

TEST_F(TaskTest, OneThatIsNeverAwaitedIsDestroyed) {
  {
    Task<void> unused = wait_for_ever(executor(), Trace(events_));
  }
  EXPECT_EQ(events_, std::vector<std::string>{"gone"});
}

TEST_F(TaskTest, AnIoContextThatIsDestroyedDestroysTheWholeRun) {
  bool ended = false;
  spawn(executor(), await_it(wait_for_ever(executor(), Trace(events_)), Trace(events_)),
        [&](std::exception_ptr) { ended = true; });
  context_->poll();
  EXPECT_TRUE(events_.empty());
  context_.reset();
  EXPECT_EQ(events_, (std::vector<std::string>{"gone", "gone"}));
  EXPECT_FALSE(ended);
}

TEST_F(TaskTest, AnIoContextThatNeverRanDestroysWhatWasSpawned) {
  spawn(executor(), wait_for_ever(executor(), Trace(events_)), [](std::exception_ptr) {});
  context_.reset();
  EXPECT_EQ(events_, std::vector<std::string>{"gone"});
}

TEST_F(TaskTest, BeginsAtOnceOnItsOwnThreadAndLaterOnAnother) {
  auto notes = [](std::vector<std::string>* events) -> Task<void> {
    events->emplace_back("begun");
    co_return;
  };
  spawn(executor(), notes(&events_), [](std::exception_ptr) {});
  events_.emplace_back("not begun");
  asio::post(executor(), [&] {
    spawn(executor(), notes(&events_), [](std::exception_ptr) {});
    events_.emplace_back("after it");
  });
  context_->run();
  EXPECT_EQ(events_, (std::vector<std::string>{"not begun", "begun", "begun", "after it"}));
}

TEST_F(TaskTest, IsGoneBeforeItsEndIsTold) {
  auto ends = [](Executor executor, Trace /*trace*/) -> Task<void> { co_await asio::post(executor, use_task); };
  spawn(executor(), ends(executor(), Trace(events_)), [&](std::exception_ptr) { events_.emplace_back("told"); });
  context_->run();
  EXPECT_EQ(events_, (std::vector<std::string>{"gone", "told"}));
}

TEST_F(TaskTest, KeepsItsIoContextRunning) {
  auto waits = [](Waiting<int>* kept, int* got) -> Task<void> {
    auto begin = [kept](Waiting<int> waiting) { *kept = std::move(waiting); };
    *got = co_await wait_on<int>(begin);
  };
  Waiting<int> kept;
  int got = 0;
  spawn(executor(), waits(&kept, &got), [](std::exception_ptr) {});
  context_->poll();
  EXPECT_FALSE(context_->stopped());
  std::thread([&] { kept.resume(3); }).join();
  context_->run();
  EXPECT_EQ(got, 3);
}

// Frames that one thread has left are used by the next coroutine, and by other threads.
TEST_F(TaskTest, FramesMayEndOnAnotherThread) {
  std::optional<Task<void>> task(wait_for_ever(executor(), Trace(events_)));
  std::thread([&] { task.reset(); }).join();
  EXPECT_EQ(events_, std::vector<std::string>{"gone"});
}

}  // namespace
}  // namespace sharedlock
