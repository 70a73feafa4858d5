#include "lock/clock_difference.h"

#include <gtest/gtest.h>

namespace sharedlock {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr EpochSeconds kWall{seconds(1'735'689'600)};
constexpr BootTime kNow{std::chrono::hours(1)};
constexpr seconds kDuration{30};

// Of a holding that began, by the writer's clock, `ago` before ours says.
LockRecord begun(seconds ago) {
  LockRecord record;
  record.duration = kDuration;
  record.expiry = kWall - ago + kDuration;
  return record;
}

TEST(ClockDifference, SafetyR10_ARecordThatBeginsInTheFutureShowsAClockThatIsAhead) {
  ClockDifference difference;
  difference.read(begun(seconds(20)), true, kWall, kNow);
  EXPECT_EQ(difference.largest(kNow), seconds(0)) << "it may have stood there for that long";
  difference.read(begun(seconds(-40)), true, kWall, kNow);
  difference.read(begun(seconds(-5)), true, kWall, kNow);
  EXPECT_EQ(difference.largest(kNow), seconds(40));
}

TEST(ClockDifference, SafetyR10_ARecordThatOutlivesItsExpiryShowsAClockThatIsBehind) {
  ClockDifference difference;
  difference.read(begun(kDuration + seconds(3)), true, kWall, kNow);
  difference.read(begun(kDuration + seconds(100)), false, kWall, kNow);
  EXPECT_EQ(difference.largest(kNow), seconds(0));
  difference.read(begun(kDuration + seconds(60)), true, kWall, kNow);
  EXPECT_EQ(difference.largest(kNow), seconds(-60));
}

TEST(ClockDifference, ARecordThatWasJustWrittenShowsEveryDifference) {
  ClockDifference difference;
  difference.just_written(begun(seconds(1)), kWall, kNow);
  EXPECT_EQ(difference.largest(kNow), seconds(0));
  LockRecord renewed = begun(seconds(25));
  renewed.carried_token = FencingToken{1};
  difference.just_written(renewed, kWall, kNow);
  EXPECT_EQ(difference.largest(kNow), seconds(0)) << "of a renewal the beginning is old";
  difference.just_written(begun(seconds(20)), kWall, kNow);
  EXPECT_EQ(difference.largest(kNow), seconds(-20));
}

TEST(ClockDifference, IsForgottenWithinTenMinutes) {
  ClockDifference difference;
  difference.read(begun(seconds(-40)), true, kWall, kNow);
  EXPECT_EQ(difference.largest(kNow + minutes(5)), seconds(40));
  EXPECT_EQ(difference.largest(kNow + minutes(10)), seconds(0));
}

}  // namespace
}  // namespace sharedlock
