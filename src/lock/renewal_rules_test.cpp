// How far a renewal reaches: R35, with R6, R7 and R11.
#include <gmock/gmock.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "lock/renewal_rules_fixture_test.h"
#include "lock/rules.h"

namespace sharedlock::renewals {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr Ttl kDay{86400};
const std::vector<nanoseconds> kSkews{hours(-1000),       hours(-1),  seconds(-12),      seconds(-1),
                                      milliseconds(-300), seconds(0), milliseconds(700), seconds(2),
                                      seconds(12),        hours(1),   hours(1000)};

TEST(LockRulesRenewal, SafetyR35_FromNowGoesByTheLeaseWhateverTheWallClockSays) {
  HeldLock lock = acquired(seconds(9), at(seconds(0)));
  for (nanoseconds skew : kSkews) {
    Instant now = at(seconds(3), skew);
    WriteRecord write = write_of(decide_renew(renewal(seconds(9)), lock, now));
    EXPECT_EQ(end_of(write), now.boot + seconds(9)) << skew.count();
    EXPECT_EQ(write.ttl, Ttl(9)) << skew.count();
    auto by_our_clock = std::chrono::floor<seconds>(now.wall) + seconds(9);
    EXPECT_EQ(write.record.expiry, std::max(lock.record.expiry + seconds(3), by_our_clock)) << skew.count();
    EXPECT_EQ(write.record.duration, seconds(9) + (write.record.expiry - lock.record.expiry));
    EXPECT_EQ(write.record.carried_token, FencingToken{7});
  }
}

TEST(LockRulesRenewal, SafetyR35_FromNowWithAnotherTokenOrByAnotherIsRefused) {
  HeldLock lock = acquired(seconds(9), at(seconds(0)));
  RenewRequest request = renewal(seconds(9));
  request.token = FencingToken{6};
  EXPECT_TRUE(std::holds_alternative<Refused>(decide_renew(request, lock, at(seconds(1)))));
  lock.record.holder.instance = "other";
  EXPECT_TRUE(std::holds_alternative<Refused>(decide_renew(renewal(seconds(9)), lock, at(seconds(1)))));
  EXPECT_TRUE(std::holds_alternative<Refused>(decide_renew(renewal(seconds(9)), std::nullopt, at(seconds(1)))));
}

TEST(LockRulesRenewal, SafetyR35_WithoutKnowingThePresentEndNothingIsDecided) {
  HeldLock lock = acquired(seconds(9), at(seconds(0)));
  lock.end.reset();
  for (auto from : {RenewFrom::now, RenewFrom::expiry}) {
    EXPECT_TRUE(std::holds_alternative<NeedsEnd>(decide_renew(renewal(seconds(9), from), lock, at(seconds(1)))));
  }
  EXPECT_TRUE(
      std::holds_alternative<Refused>(decide_renew(renewal(seconds(9), RenewFrom::expiry), lock, at(seconds(10)))));
}

// A heartbeat of 10 s is delayed, a renewal of 300 s is answered, and then the heartbeat arrives.
TEST(LockRulesRenewal, SafetyR06_ALateDuplicateNeverShortens) {
  for (nanoseconds skew : kSkews) {
    HeldLock lock = acquired(seconds(10), at(seconds(0)));
    WriteRecord longer = write_of(decide_renew(renewal(seconds(300)), lock, at(seconds(1))));

    Instant late = at(seconds(20), skew);
    WriteRecord same_server = write_of(decide_renew(renewal(seconds(10)), written(longer), late));
    EXPECT_TRUE(keeps_its_lease(same_server));
    EXPECT_EQ(same_server.ttl, Ttl(281));
    EXPECT_GE(same_server.record.expiry, longer.record.expiry);

    BootTime ends = end_of(longer) + milliseconds(1700);
    WriteRecord other_server = write_of(decide_renew(renewal(seconds(10)), seen_elsewhere(longer, ends, late), late));
    EXPECT_TRUE(keeps_its_lease(other_server));
    EXPECT_EQ(other_server.ttl, Ttl(282)) << "of what is left, rounded down";
    EXPECT_GE(other_server.record.expiry, longer.record.expiry);
  }
}

TEST(LockRulesRenewal, SafetyR35_WhereThePresentEndMayBeLaterTheLeaseIsKept) {
  HeldLock lock = acquired(seconds(30), at(seconds(0)));
  Instant now = at(seconds(10));
  for (int at_most = 1; at_most < 40; ++at_most) {
    lock.end = PresentEnd{now.boot + seconds(at_most - 1), now.boot + seconds(at_most)};
    WriteRecord write = write_of(decide_renew(renewal(seconds(20)), lock, now));
    EXPECT_EQ(keeps_its_lease(write), at_most > 20) << at_most;
    EXPECT_EQ(write.ttl, Ttl(at_most > 20 ? at_most - 1 : 20)) << at_most;
  }
  lock.end = PresentEnd{now.boot + milliseconds(400), now.boot + milliseconds(1400)};
  WriteRecord short_one = write_of(decide_renew(renewal(seconds(1)), lock, now));
  EXPECT_EQ(end_of(short_one), now.boot + milliseconds(1400)) << "less than a second can't be promised";
  EXPECT_EQ(short_one.ttl, Ttl(1));
}

TEST(LockRulesRenewal, SafetyR35_ADayLimitsWhatIsAddedAndNeverWhatIsThere) {
  HeldLock lock = acquired(seconds(30), at(seconds(0)));
  Instant now = at(seconds(1));
  BootTime end = now.boot + seconds(90000);
  lock.record.expiry = now.epoch() + seconds(90000);
  lock.end = PresentEnd{end, end, Promised{end, nanoseconds(0)}};
  for (auto from : {RenewFrom::now, RenewFrom::expiry}) {
    WriteRecord write = write_of(decide_renew(renewal(kDay, from), lock, now));
    EXPECT_TRUE(keeps_its_lease(write));
    EXPECT_EQ(write.ttl, Ttl(90000));
  }
  end = now.boot + seconds(86000);
  lock.end = PresentEnd{end, end, Promised{end, nanoseconds(0)}};
  WriteRecord write = write_of(decide_renew(renewal(seconds(1000), RenewFrom::expiry), lock, now));
  EXPECT_EQ(end_of(write), now.boot + kDay);
}

TEST(LockRulesRenewal, SafetyR35_FromTheOldExpiryTheLeaseGrowsByTheDurationWhateverTheWallClockSays) {
  HeldLock lock = acquired(seconds(2000), at(milliseconds(600)));
  for (nanoseconds skew : {nanoseconds(hours(-1000)), nanoseconds(hours(-1)), nanoseconds(0), nanoseconds(seconds(12)),
                           nanoseconds(seconds(1900))}) {
    WriteRecord write = write_of(decide_renew(renewal(seconds(30), RenewFrom::expiry), lock, at(seconds(3), skew)));
    EXPECT_EQ(end_of(write), lock.end->at_most + seconds(30)) << skew.count();
    EXPECT_EQ(write.record.expiry, lock.record.expiry + seconds(30)) << skew.count();
    seconds shown = write.record.expiry + seconds(1) - at(seconds(3), skew).epoch();
    EXPECT_EQ(write.ttl, std::min(Ttl(2027), shown)) << skew.count();
  }
  auto past = decide_renew(renewal(seconds(30), RenewFrom::expiry), lock, at(seconds(3), seconds(2000)));
  EXPECT_TRUE(std::holds_alternative<Refused>(past)) << "as the Java service has it";
}

// Two servers take turns. Each is told of the other's lease in whole seconds, with the spare time that was granted
// beyond what was asked.
TEST(LockRulesRenewal, SafetyR35_FromTheOldExpiryOnAnotherServerNothingIsAddedButTheDuration) {
  for (nanoseconds skew : {nanoseconds(0), nanoseconds(seconds(-1)), nanoseconds(milliseconds(-400))}) {
    HeldLock lock = acquired(seconds(10), at(milliseconds(300)));
    WriteRecord last{.record = lock.record, .ttl = Ttl(10), .lifetime = {}, .end = *lock.end};
    BootTime lease_ends = lock.end->at_least + milliseconds(1700);
    nanoseconds since = milliseconds(300);
    for (int i = 1; i <= 100; ++i) {
      since += milliseconds(9870);
      Instant now = at(since, i % 2 == 0 ? nanoseconds(0) : skew);
      BootTime before = lease_ends;
      last =
          write_of(decide_renew(renewal(seconds(10), RenewFrom::expiry), seen_elsewhere(last, lease_ends, now), now));
      if (!keeps_its_lease(last)) lease_ends = end_of(last) + milliseconds(1700);
      auto expiry = at(milliseconds(300) + seconds(10 + 10 * i));
      ASSERT_EQ(last.record.expiry, expiry.epoch()) << i;
      ASSERT_GE(lease_ends, before) << i;
      ASSERT_GE(lease_ends, expiry.boot) << "it would end before its expiry, " << i;
      ASSERT_LE(lease_ends, expiry.boot + seconds(5)) << "it runs away, " << i;
      ASSERT_GE(now.boot + last.ttl, expiry.boot - seconds(1)) << i;
    }
  }
}

TEST(LockRulesRenewal, SafetyR35_ARecordWithoutALeaseIsPutUnderOneThatEndsNotBeforeItsExpiry) {
  HeldLock lock = acquired(seconds(60), at(seconds(0)));
  lock.lease = LeaseId{0};
  lock.end.reset();
  EXPECT_EQ(end_of(write_of(decide_renew(renewal(seconds(30)), lock, at(seconds(10))))), at(seconds(60)).boot);
  EXPECT_EQ(end_of(write_of(decide_renew(renewal(seconds(30)), lock, at(seconds(50))))), at(seconds(80)).boot);
}

TEST(LockRulesRenewal, SafetyR35_NoLimitShortensARecordWithoutALease) {
  HeldLock lock = acquired(seconds(60), at(seconds(0)));
  lock.lease = LeaseId{0};
  lock.end.reset();
  for (hours left : {hours(23), hours(72), hours(1'000'000)}) {
    lock.record.expiry = at(left).epoch();
    for (auto from : {RenewFrom::now, RenewFrom::expiry}) {
      WriteRecord write = write_of(decide_renew(renewal(seconds(30), from), lock, at(seconds(0))));
      EXPECT_GE(end_of(write), at(std::min(left, hours(800'000))).boot) << left.count() << " h";
      EXPECT_GE(write.record.expiry, lock.record.expiry);
    }
  }
}

// Such a lease fits in nanoseconds; the wall-clock time at its end does not.
TEST(LockRulesRenewal, SafetyR35_ALeaseOfCenturiesDoesNotOverflow) {
  Instant now = at(seconds(1));
  for (seconds left : {seconds(7'000'000'000), seconds(7'600'000'000), seconds(9'000'000'000)}) {
    HeldLock lock = acquired(seconds(30), at(seconds(0)));
    lock.end = PresentEnd{now.boot + left, now.boot + left + seconds(1)};
    WriteRecord write = write_of(decide_renew(renewal(seconds(10)), lock, now));
    EXPECT_EQ(write.ttl, left);
    EXPECT_EQ(write.record.expiry, lock.record.expiry + left) << "which may have been over";
    lock = written(write);
    write = write_of(decide_renew(renewal(seconds(10)), lock, at(seconds(2))));
    EXPECT_EQ(write.record.expiry, lock.record.expiry) << left.count();
    write = write_of(decide_renew(renewal(seconds(10), RenewFrom::expiry), lock, at(seconds(2))));
    EXPECT_EQ(write.record.expiry, lock.record.expiry) << left.count();
    EXPECT_TRUE(keeps_its_lease(write));
  }
}

TEST(LockRulesRenewal, SafetyR35_ARecordThatNeverExpiresStaysReadable) {
  HeldLock lock = acquired(seconds(60), at(seconds(0)));
  for (seconds beyond : {seconds(-1), seconds(0), seconds(600'000'000'000)}) {
    lock.record.expiry = kNeverExpires + beyond;
    lock.record.duration = kNeverExpires.time_since_epoch();
    for (auto from : {RenewFrom::now, RenewFrom::expiry}) {
      WriteRecord write = write_of(decide_renew(renewal(kDay, from), lock, at(seconds(10))));
      EXPECT_EQ(write.record.expiry, std::max(kNeverExpires, lock.record.expiry));
      EXPECT_TRUE(parse_lock_record(to_json(write.record)));
    }
  }
}

// A Java service beside us decides by `expiry`, with a clock of its own. Where heartbeats are shorter than a second
// their fractions must not get lost, and not be rounded up each time.
TEST(LockRulesRenewal, SafetyR35_ExpiryCarriesFractionsOfWhatTheLeaseGrew) {
  for (nanoseconds skew : {nanoseconds(hours(-1)), nanoseconds(0)}) {
    for (int gap : {10, 100, 333, 500, 900, 1000, 1100, 2700}) {
      HeldLock lock = acquired(seconds(9), at(milliseconds(250)));
      nanoseconds now{};
      for (int i = 1; i <= 500; ++i) {
        now = milliseconds(250 + i * gap);
        lock = written(write_of(decide_renew(renewal(seconds(9)), lock, at(now, skew))));
        ASSERT_EQ(lock.record.expiry, std::chrono::floor<seconds>(at(now + seconds(9)).wall)) << gap << " ms, " << i;
      }
    }
  }
}

}  // namespace
}  // namespace sharedlock::renewals
