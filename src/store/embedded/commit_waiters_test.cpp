#include "store/embedded/commit_waiters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace sharedlock {
namespace {

using std::chrono::seconds;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::SizeIs;

BootTime at(int second) {
  return BootTime(seconds(second));
}

class Wait : public TaskAwaitable {
 public:
  Wait(CommitWaiters& waiters, Deadline deadline) : waiters_(waiters), waiter_(deadline) {}
  bool begin(TaskRun& run, std::coroutine_handle<> waiting) {
    waiter_.begin(run, waiting);
    waiters_.add(waiter_);
    return true;
  }
  CommitFate result() const { return waiter_.fate(); }

 private:
  CommitWaiters& waiters_;
  CommitWaiter waiter_;
};

struct Ended {
  BootTime give_up_at;
  CommitFate fate;

  bool operator==(const Ended&) const = default;
};

Task<void> wait_among(CommitWaiters* waiters, Deadline deadline, std::vector<Ended>* ended,
                      std::shared_ptr<int> /*counted*/) {
  auto fate = co_await Wait(*waiters, deadline);
  ended->push_back(Ended(deadline.at, fate));
}

class CommitWaitersTest : public testing::Test {
 protected:
  // Lets one coroutine wait on `io`.
  void start_on(asio::io_context& io, BootTime give_up_at = BootTime::max()) {
    spawn(io.get_executor(), wait_among(&*waiters_, Deadline(give_up_at), &ended_, counted_),
          [](std::exception_ptr) {});
    io.poll();
  }
  long frames() const { return counted_.use_count() - 1; }

  std::optional<CommitWaiters> waiters_{std::in_place};
  std::vector<Ended> ended_;
  std::shared_ptr<int> counted_ = std::make_shared<int>(0);
  std::unique_ptr<asio::io_context> io_ = std::make_unique<asio::io_context>(1);
  asio::io_context other_io_{1};
};

TEST_F(CommitWaitersTest, AreResumedByOnePostPerExecutor) {
  for (int i = 0; i < 3; ++i) start_on(*io_);
  for (int i = 0; i < 2; ++i) start_on(other_io_);

  waiters_->resume(CommitFate::lost);

  EXPECT_THAT(ended_, IsEmpty());
  EXPECT_EQ(io_->poll(), 1U);
  EXPECT_THAT(ended_, SizeIs(3));
  EXPECT_EQ(other_io_.poll(), 1U);
  EXPECT_THAT(ended_, SizeIs(5));
  EXPECT_THAT(ended_, Each(Field(&Ended::fate, CommitFate::lost)));
  EXPECT_EQ(frames(), 0);
}

TEST_F(CommitWaitersTest, ManyLetOthersOnTheirThreadTakeTurns) {
  for (int i = 0; i < 600; ++i) start_on(*io_);
  waiters_->resume(CommitFate::durable);
  std::size_t ended_before = 0;
  asio::post(*io_, [&] { ended_before = ended_.size(); });

  io_->run();

  EXPECT_EQ(ended_before, 256U);
  EXPECT_THAT(ended_, SizeIs(600));
}

TEST_F(CommitWaitersTest, KeepTheirIoContextRunning) {
  start_on(*io_);
  EXPECT_FALSE(io_->stopped());

  std::thread([&] { waiters_->resume(CommitFate::durable); }).join();
  io_->run();

  EXPECT_THAT(ended_, ElementsAre(Ended(BootTime::max(), CommitFate::durable)));
}

TEST_F(CommitWaitersTest, TheLateOnesAreTakenEarliestFirst) {
  for (int second : {3, 1, 9, 2}) start_on(*io_, at(second));

  CommitWaiters two = waiters_->take_late(at(3), 2);

  EXPECT_EQ(waiters_->first_deadline(), at(3));
  two.resume(CommitFate::open);
  io_->poll();
  EXPECT_THAT(ended_, ElementsAre(Ended(at(1), CommitFate::open), Ended(at(2), CommitFate::open)));
  waiters_->take_late(at(3), 2).resume(CommitFate::open);
  waiters_->resume(CommitFate::durable);
  io_->poll();
  ASSERT_THAT(ended_, SizeIs(4));
  EXPECT_EQ(ended_[2], Ended(at(3), CommitFate::open));
  EXPECT_EQ(ended_[3], Ended(at(9), CommitFate::durable));
  EXPECT_EQ(waiters_->first_deadline(), BootTime::max());
}

TEST_F(CommitWaitersTest, AnIoContextThatIsDestroyedDestroysTheRunsOnTheirWayToIt) {
  for (int i = 0; i < 300; ++i) start_on(*io_);
  waiters_->resume(CommitFate::durable);
  io_->poll_one();
  EXPECT_THAT(ended_, SizeIs(256));
  EXPECT_EQ(frames(), 44);

  io_.reset();

  EXPECT_THAT(ended_, SizeIs(256));
  EXPECT_EQ(frames(), 0);
}

TEST_F(CommitWaitersTest, RunsThatNothingResumesAreDestroyedOnTheirExecutor) {
  for (int i = 0; i < 3; ++i) start_on(*io_);

  std::thread([&] { waiters_.reset(); }).join();

  EXPECT_EQ(frames(), 3) << "another thread touches nothing of them";
  io_->run();
  EXPECT_EQ(frames(), 0);
  EXPECT_THAT(ended_, IsEmpty());
}

}  // namespace
}  // namespace sharedlock
