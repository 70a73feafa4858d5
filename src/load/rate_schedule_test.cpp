#include "load/rate_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace sharedlock::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

const TimePoint kStart{seconds(1000)};

TEST(BenchRateSchedule, RequestsAreEvenlySpacedFromTheStart) {
  RateSchedule schedule(kStart, 1000, 0, 1);
  EXPECT_EQ(schedule.at(0), kStart);
  EXPECT_EQ(schedule.at(1), kStart + milliseconds(1));
  EXPECT_EQ(schedule.at(5000), kStart + seconds(5));
}

TEST(BenchRateSchedule, ThreadsTogetherKeepTheRate) {
  constexpr unsigned kThreads = 3;
  std::vector<TimePoint> all;
  for (unsigned thread = 0; thread < kThreads; ++thread) {
    RateSchedule schedule(kStart, 10'000, thread, kThreads);
    for (std::uint64_t i = 0; i < 1000; ++i) all.push_back(schedule.at(i));
  }
  std::ranges::sort(all);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_NEAR(static_cast<double>((all[i] - kStart).count()), static_cast<double>(i) * 1e5, 1) << i;
  }
}

// Intervals that are no whole nanoseconds must not add up to a drift.
TEST(BenchRateSchedule, DoesNotDrift) {
  RateSchedule schedule(kStart, 700'000, 0, 1);
  EXPECT_EQ(schedule.at(700'000 * std::uint64_t{3600}), kStart + seconds(3600));
}

TEST(BenchRateSchedule, FractionsOfARequestPerSecondAreARate) {
  RateSchedule schedule(kStart, 0.5, 0, 1);
  EXPECT_EQ(schedule.at(3), kStart + seconds(6));
}

}  // namespace
}  // namespace sharedlock::bench
