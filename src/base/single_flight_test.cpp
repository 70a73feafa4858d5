#include "base/single_flight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exception>
#include <string>

#include "base/manual_clock.h"
#include "base/result.h"

namespace sharedlock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using Answer = Result<std::string>;

// A caller that asks for the work. If it runs the work itself, that ends when finish() is called.
class Caller {
 public:
  Caller(std::string name, asio::io_context& context, SingleFlight<Answer>& work, Deadline deadline)
      : name_(std::move(name)), finished_(context.get_executor()) {
    spawn(context.get_executor(), join(&work, deadline), [](std::exception_ptr escaped) { EXPECT_FALSE(escaped); });
  }

  bool runs() const { return runs_; }
  void finish(bool good) {
    good_ = good;
    finished_.raise();
  }

  bool has_ended() const { return ended_; }
  // "" when it was told nothing; "no: NAME" for an error.
  std::string told() const {
    if (!told_) return "";
    return *told_ ? **told_ : "no: " + told_->error().message;
  }

 private:
  Task<void> join(SingleFlight<Answer>* work, Deadline deadline) {
    auto mine = [this] { return run(); };
    told_ = co_await work->join(mine, deadline);
    ended_ = true;
  }
  Task<Answer> run() {
    runs_ = true;
    co_await finished_.wait();
    if (good_) co_return name_;
    co_return Error{Errc::unavailable, name_};
  }

  std::string name_;
  AsyncEvent finished_;
  bool runs_ = false;
  bool good_ = false;
  bool ended_ = false;
  std::optional<Answer> told_;
};

class SingleFlightTest : public ::testing::Test {
 protected:
  Deadline in(std::chrono::nanoseconds span) const { return {clock.boot_now() + span}; }
  Caller& call(const std::string& name, std::chrono::nanoseconds patience) {
    callers.push_back(std::make_unique<Caller>(name, context, work, in(patience)));
    run_what_is_ready();
    return *callers.back();
  }
  void run_what_is_ready() {
    context.restart();
    context.poll();
  }
  void finish(Caller& caller, bool good) {
    caller.finish(good);
    run_what_is_ready();
  }

  ManualClock clock;
  asio::io_context context{1};
  SingleFlight<Answer> work{clock};
  std::vector<std::unique_ptr<Caller>> callers;
};

TEST_F(SingleFlightTest, OneRunServesAllCallers) {
  Caller& first = call("first", seconds(5));
  Caller& second = call("second", seconds(5));
  EXPECT_FALSE(second.runs());
  finish(first, true);
  EXPECT_EQ(first.told(), "first");
  EXPECT_EQ(second.told(), "first");
  EXPECT_FALSE(second.runs());
}

TEST_F(SingleFlightTest, ALaterCallerStartsItsOwnRun) {
  finish(call("first", seconds(5)), true);
  Caller& second = call("second", seconds(5));
  finish(second, true);
  EXPECT_EQ(second.told(), "second");
}

TEST_F(SingleFlightTest, AFailureBeforeTheDeadlineIsSharedByAllCallers) {
  Caller& first = call("first", seconds(5));
  Caller& second = call("second", seconds(50));
  finish(first, false);
  EXPECT_EQ(first.told(), "no: first");
  EXPECT_EQ(second.told(), "no: first");
}

TEST_F(SingleFlightTest, ARunThatHadTooLittleTimeFailsNoOtherCaller) {
  Caller& hasty = call("hasty", seconds(1));
  Caller& other = call("other", seconds(5));
  Caller& patient = call("patient", seconds(50));
  clock.advance(seconds(2));
  finish(hasty, false);
  EXPECT_EQ(hasty.told(), "no: hasty");
  EXPECT_TRUE(patient.runs()) << "he has the most time";
  EXPECT_FALSE(other.runs());
  EXPECT_FALSE(other.has_ended());
  finish(patient, true);
  EXPECT_EQ(patient.told(), "patient");
  EXPECT_EQ(other.told(), "patient");
}

TEST_F(SingleFlightTest, NoCallerWaitsPastItsOwnDeadline) {
  Caller& first = call("first", seconds(50));
  Caller& hasty = call("hasty", milliseconds(1));
  Caller& patient = call("patient", seconds(50));
  while (!hasty.has_ended()) {
    context.restart();
    context.run_one();
  }
  EXPECT_EQ(hasty.told(), "");
  EXPECT_FALSE(patient.has_ended());
  finish(first, true);
  EXPECT_EQ(hasty.told(), "");
  EXPECT_EQ(patient.told(), "first");
}

}  // namespace
}  // namespace sharedlock
