#include "lock/clock_skew.h"

#include <gtest/gtest.h>

namespace sharedlock {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr EpochSeconds kWall{seconds(1'735'689'600)};
constexpr BootTime kNow{std::chrono::hours(1)};
constexpr Instant kThen{kWall, kNow};
constexpr seconds kDuration{30};

// The record of a holding that began, by its writer's clock, `ago` before the present time by ours.
LockRecord begun(seconds ago) {
  LockRecord record;
  record.duration = kDuration;
  record.expiry = kWall - ago + kDuration;
  return record;
}

TEST(ClockSkew, SafetyR10_ARecordThatBeginsInTheFutureShowsAClockThatIsAhead) {
  ClockSkew difference;
  difference.read(begun(seconds(20)), true, kThen);
  EXPECT_EQ(difference.largest(kNow), seconds(0)) << "it may have stood there for that long";
  difference.read(begun(seconds(-40)), true, kThen);
  difference.read(begun(seconds(-5)), true, kThen);
  EXPECT_EQ(difference.largest(kNow), seconds(40));
}

TEST(ClockSkew, SafetyR10_ARecordThatOutlivesItsExpiryShowsAClockThatIsBehind) {
  ClockSkew difference;
  difference.read(begun(kDuration + seconds(4)), true, kThen);
  difference.read(begun(kDuration + seconds(100)), false, kThen);
  EXPECT_EQ(difference.largest(kNow), seconds(0));
  difference.read(begun(kDuration + seconds(60)), true, kThen);
  EXPECT_EQ(difference.largest(kNow), seconds(-60));
}

TEST(ClockSkew, ARecordThatWasJustWrittenShowsEveryDifference) {
  ClockSkew difference;
  difference.just_written(begun(seconds(1)), kThen);
  EXPECT_EQ(difference.largest(kNow), seconds(0));
  LockRecord renewed = begun(seconds(25));
  renewed.carried_token = FencingToken{1};
  difference.just_written(renewed, kThen);
  EXPECT_EQ(difference.largest(kNow), seconds(0)) << "of a renewal the beginning is old";
  difference.just_written(begun(seconds(20)), kThen);
  EXPECT_EQ(difference.largest(kNow), seconds(-20));
}

TEST(ClockSkew, SafetyR35_ARecordThatNeverExpiresIsNoSample) {
  ClockSkew difference;
  LockRecord endless = begun(seconds(0));
  for (seconds later : {seconds(0), seconds(1), seconds(1000)}) {
    endless.expiry = EpochSeconds(seconds(253'402'300'799) + later);
    EXPECT_EQ(difference.read(endless, true, kThen), std::nullopt);
    EXPECT_EQ(difference.just_written(endless, kThen), std::nullopt);
  }
  EXPECT_EQ(difference.largest(kNow), seconds(0));
}

TEST(ClockSkew, SafetyR35_ASkewOfMoreThanASecondIsToldOnce) {
  ClockSkew read;
  EXPECT_EQ(read.read(begun(seconds(-1)), true, kThen), std::nullopt) << "records are in whole seconds";
  EXPECT_EQ(read.read(begun(kDuration + seconds(60)), true, kThen), std::nullopt) << "its lease may have grown";
  EXPECT_EQ(read.read(begun(seconds(-2)), true, kThen), seconds(2));
  EXPECT_EQ(read.read(begun(seconds(-12)), true, kThen), std::nullopt);
  EXPECT_EQ(read.just_written(begun(seconds(12)), kThen), std::nullopt);
  EXPECT_EQ(read.largest(kNow), seconds(-60));
  ClockSkew lost_race;
  EXPECT_EQ(lost_race.just_written(begun(seconds(2)), kThen), seconds(-2));
}

TEST(ClockSkew, IsForgottenWithinTenMinutes) {
  ClockSkew difference;
  difference.read(begun(seconds(-40)), true, kThen);
  EXPECT_EQ(difference.largest(kNow + minutes(5)), seconds(40));
  EXPECT_EQ(difference.largest(kNow + minutes(10)), seconds(0));
}

}  // namespace
}  // namespace sharedlock
