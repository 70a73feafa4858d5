#include "load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

namespace sharedlock::bench {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(BenchHistogram, EmptyIsZero) {
  Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.at(0.5), nanoseconds(0));
  EXPECT_EQ(histogram.mean(), nanoseconds(0));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
}

TEST(BenchHistogram, SmallDurationsAreExact) {
  Histogram histogram;
  for (int i = 1; i <= 200; ++i) histogram.record(nanoseconds(i));
  EXPECT_EQ(histogram.at(0.5), nanoseconds(100));
  EXPECT_EQ(histogram.at(0.005), nanoseconds(1));
  EXPECT_EQ(histogram.at(0.99), nanoseconds(198));
  EXPECT_EQ(histogram.at(1), nanoseconds(200));
  EXPECT_EQ(histogram.at(0), nanoseconds(1));
}

// Each duration alone: whatever the bucket, it says what was recorded to within 1 %.
TEST(BenchHistogram, EveryDurationIsWithinOnePercent) {
  const double day = 86'400e9;
  for (double duration = 1; duration <= day; duration = std::max(duration + 1, duration * 1.0007)) {
    Histogram histogram;
    nanoseconds recorded(static_cast<std::int64_t>(duration));
    histogram.record(recorded);
    histogram.record(nanoseconds(static_cast<std::int64_t>(day)));  // so that the largest does not help
    double error = std::abs(static_cast<double>((histogram.at(0.5) - recorded).count()));
    ASSERT_LE(error, 0.01 * duration) << duration;
  }
}

TEST(BenchHistogram, PercentilesAreThoseOfTheSortedDurations) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> durations(11, 2);
  Histogram histogram;
  std::vector<std::int64_t> all;
  for (int i = 0; i < 100'000; ++i) {
    auto duration = static_cast<std::int64_t>(durations(random));
    all.push_back(duration);
    histogram.record(nanoseconds(duration));
  }
  std::ranges::sort(all);
  for (double share : {0.5, 0.9, 0.99, 0.999, 0.9999}) {
    auto exact = static_cast<double>(all[static_cast<std::size_t>(std::ceil(share * 100'000)) - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.at(share).count()), exact, 0.01 * exact) << share;
  }
  EXPECT_EQ(histogram.max(), nanoseconds(all.back()));
}

TEST(BenchHistogram, AValueOutOfRangeCountsAsTheNearestInRange) {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
  histogram.record(std::chrono::hours(1000));
  EXPECT_EQ(histogram.max(), nanoseconds(std::chrono::hours(24)));
  EXPECT_EQ(histogram.at(1), histogram.max());
  EXPECT_EQ(histogram.count(), 2U);
}

TEST(BenchHistogram, AddingUpIsRecordingInOne) {
  Histogram first;
  Histogram second;
  Histogram both;
  for (int i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? first : second).record(nanoseconds(i * 1000));
    both.record(nanoseconds(i * 1000));
  }
  first += second;
  EXPECT_EQ(first.count(), 1000U);
  EXPECT_EQ(first.mean(), both.mean());
  EXPECT_EQ(first.max(), nanoseconds(999'000));
  for (double share : {0.1, 0.5, 0.9, 0.99}) EXPECT_EQ(first.at(share), both.at(share));
}

TEST(BenchHistogram, OneStallShowsInTheMaximumAlone) {
  Histogram histogram;
  for (int i = 0; i < 9999; ++i) histogram.record(nanoseconds(1000));
  histogram.record(seconds(1));
  EXPECT_LT(histogram.at(0.999), nanoseconds(1010));
  EXPECT_EQ(histogram.max(), seconds(1));
}

}  // namespace
}  // namespace sharedlock::bench
