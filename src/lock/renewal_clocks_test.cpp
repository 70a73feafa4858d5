// Renewals by servers with different wall clocks, in any order: R35.
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

#include "lock/renewal_rules_fixture_test.h"
#include "lock/rules.h"

namespace sharedlock::renewals {
namespace {

using std::chrono::duration_cast;
using std::chrono::hours;
using std::chrono::milliseconds;

// Two servers, one of which has a wall clock that is off, renew one lock in any order; a third program goes by `expiry`
// and by the right time.
class TwoServers {
 public:
  TwoServers(nanoseconds skew, unsigned seed) : skew_(skew), random_(seed) {}

  void run() {
    acquire();
    for (int i = 0; i < 200 && !testing::Test::HasFailure(); ++i) {
      pass(milliseconds(pick(1, static_cast<int>(std::max<std::int64_t>(left().count() / 1'000'000, 2)))));
      renew(pick(0, 1) == 0, seconds(pick(1, 40)));
    }
  }

 private:
  int pick(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
  nanoseconds left() const { return promised_ - at(now_).boot; }
  void pass(nanoseconds span) { now_ += span; }

  void acquire() {
    AcquireRequest request{kLock, kMe, seconds(20), at(now_).boot};
    wrote(write_of(decide_acquire(request, std::nullopt, at(now_))), /*by_wrong=*/false);
    lease_ends_ = at(now_).boot + seconds(20) + spare();
  }

  nanoseconds spare() { return milliseconds(pick(1000, 3000)); }

  void renew(bool by_wrong, seconds duration) {
    Instant now = at(now_, by_wrong ? skew_ : nanoseconds(0));
    HeldLock lock = by_wrong == wrong_wrote_ ? written(last_) : seen_elsewhere(last_, lease_ends_, now);
    WriteRecord write = write_of(decide_renew(renewal(duration), lock, now));
    EXPECT_GE(write.record.expiry, last_.record.expiry);
    BootTime before = lease_ends_;
    if (!keeps_its_lease(write)) lease_ends_ = end_of(write) + spare();
    EXPECT_GE(lease_ends_, promised_) << "what was promised before";
    EXPECT_LE(lease_ends_, std::max(before, now.boot + duration + seconds(4)));
    EXPECT_GE(write.ttl, duration - seconds(1));
    wrote(write, by_wrong);
    EXPECT_GE(lease_ends_, promised_) << "what is promised now";
    auto wall_end = at(now_).wall + (promised_ - at(now_).boot);
    // A clock that is off by a little is not told from one that is right.
    seconds unseen =
        std::chrono::abs(skew_) <= seconds(4) ? std::chrono::ceil<seconds>(std::chrono::abs(skew_)) : seconds(0);
    EXPECT_GE(write.record.expiry + unseen, std::chrono::floor<seconds>(wall_end)) << "it would be taken over early";
    // A clock that is ahead moves `expiry` ahead. Beside one that is visibly behind, it is not known how much of the
    // lease was promised, so `expiry` is moved too far each time that the other server renews.
    if (skew_ > nanoseconds(0) || skew_ < nanoseconds(seconds(-1))) return;
    EXPECT_LE(write.record.expiry, std::chrono::ceil<seconds>(wall_end) + seconds(8)) << "it runs away";
  }

  void wrote(const WriteRecord& write, bool by_wrong) {
    wrong_wrote_ = by_wrong;
    last_ = write;
    promised_ = std::max(promised_, at(now_).boot + write.ttl);
  }

  nanoseconds skew_;
  std::mt19937 random_;
  nanoseconds now_{};
  bool wrong_wrote_ = false;
  WriteRecord last_;
  BootTime lease_ends_;
  BootTime promised_;
};

TEST(LockRulesRenewal, SafetyR35_ServersWhoseClocksDifferShortenNothingAndAreNotStolenFrom) {
  for (nanoseconds skew :
       {nanoseconds(0), nanoseconds(seconds(-1)), nanoseconds(seconds(-2)), nanoseconds(seconds(-12)),
        nanoseconds(hours(-1)), nanoseconds(seconds(12)), nanoseconds(hours(1))}) {
    for (unsigned seed = 0; seed < 100 && !HasFailure(); ++seed) {
      SCOPED_TRACE(testing::Message() << skew.count() << " ns, seed " << seed);
      TwoServers(skew, seed).run();
    }
  }
}

// A renewal of 300 s, then heartbeats of 10 s. The clock of the server that gets them is behind, or the record's was
// ahead: the first heartbeat moves `expiry` to where it surely shows what is left of the lease, the others need not.
TEST(LockRulesRenewal, SafetyR35_WhereTheLeaseIsKeptExpiryDoesNotRunAway) {
  for (nanoseconds skew : {nanoseconds(seconds(-12)), nanoseconds(hours(-1))}) {
    HeldLock lock = acquired(seconds(300), at(seconds(0)));
    WriteRecord last{.record = lock.record, .ttl = {}, .lifetime = {}, .end = {}};
    EpochSeconds expiry{};
    for (int i = 1; i < 280; ++i) {
      Instant now = at(seconds(i), skew);
      BootTime lease_ends = lock.end->at_most + milliseconds(2400);
      HeldLock seen = i == 1 ? seen_elsewhere(last, lease_ends, now) : written(last);
      last = write_of(decide_renew(renewal(seconds(10)), seen, now));
      if (i == 1) expiry = last.record.expiry;
      ASSERT_TRUE(keeps_its_lease(last)) << i;
      ASSERT_EQ(last.record.expiry, expiry) << i;
      ASSERT_EQ(last.ttl, Ttl(302 - i)) << i;
      ASSERT_LE(at(seconds(i)).wall + last.ttl, expiry + seconds(1)) << "others would take it over earlier, " << i;
    }
    EXPECT_LE(expiry, lock.record.expiry + seconds(5));
  }
}

// Heartbeats that come soon after each other keep the lease, and promise more than `expiry` shows for certain: it moves
// with what is promised, once.
TEST(LockRulesRenewal, SafetyR35_ExpiryMovesWithWhatIsPromisedOfALeaseThatIsKept) {
  HeldLock lock = acquired(seconds(10), at(milliseconds(300)));
  WriteRecord last{.record = lock.record, .ttl = {}, .lifetime = {}, .end = {}};
  BootTime lease_ends = lock.end->at_most + milliseconds(2600);
  for (int i = 1; i <= 40; ++i) {
    nanoseconds since = milliseconds(300 + 100 * i);
    Instant now = at(since, seconds(-12));
    HeldLock seen = i == 1 ? seen_elsewhere(last, lease_ends, now) : written(last);
    last = write_of(decide_renew(renewal(seconds(10)), seen, now));
    if (!keeps_its_lease(last)) lease_ends = end_of(last) + milliseconds(2600);
    ASSERT_GE(last.ttl, Ttl(9)) << i;
    ASSERT_GE(lease_ends, now.boot + last.ttl) << i;
    ASSERT_LE(at(since).wall + last.ttl, last.record.expiry + seconds(1)) << "it would be taken over early, " << i;
    ASSERT_LE(last.record.expiry, at(since).wall + seconds(10 + 5)) << "it runs away, " << i;
  }
}

// Two servers renew from the old expiry in any order; a third program goes by `expiry`, and by the right time: for it
// the lock must not end before what the answers promise.
class FromExpiry {
 public:
  struct Scene {
    nanoseconds skew{};           // of one server
    bool leader_changes = false;  // now and then etcd lets all leases begin anew
    Ttl shortest{};               // of the leases that etcd grants
    seconds longest{40};          // of the renewals
  };

  FromExpiry(const Scene& scene, unsigned seed) : scene_(scene), random_(seed) {}

  // Returns how many renewals were done before one was refused, or came too late.
  int run() {
    acquire();
    int done = 0;
    while (done < 200 && !testing::Test::HasFailure()) {
      now_ += milliseconds(pick(1, static_cast<int>(std::max<std::int64_t>(left().count() / 1'000'000, 2))));
      if (scene_.leader_changes && pick(0, 5) == 0) lease_ends_ = at(now_).boot + granted_;
      if (!renew(pick(0, 1) == 0, seconds(pick(1, static_cast<int>(scene_.longest.count()))))) break;
      ++done;
    }
    return done;
  }

 private:
  int pick(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }
  nanoseconds left() const { return promised_ - at(now_).boot; }

  void put_under_lease(BootTime end) {
    granted_ = std::max<nanoseconds>(end - at(now_).boot + milliseconds(pick(1000, 3000)), scene_.shortest);
    lease_ends_ = at(now_).boot + granted_;
  }

  void acquire() {
    AcquireRequest request{kLock, kMe, seconds(3), at(now_).boot};
    last_ = write_of(decide_acquire(request, std::nullopt, at(now_)));
    put_under_lease(at(now_).boot + seconds(3));
    promised_ = at(now_).boot + seconds(3);
  }

  bool renew(bool by_wrong, seconds duration) {
    Instant now = at(now_, by_wrong ? scene_.skew : nanoseconds(0));
    HeldLock lock = by_wrong == wrong_wrote_ ? written(last_) : seen_elsewhere(last_, lease_ends_, now);
    Decision decision = decide_renew(renewal(duration, RenewFrom::expiry), lock, now);
    if (std::holds_alternative<Refused>(decision)) return false;
    last_ = write_of(decision);
    wrong_wrote_ = by_wrong;
    if (!keeps_its_lease(last_)) put_under_lease(end_of(last_));
    BootTime promised = at(now_).boot + last_.ttl;
    EXPECT_GE(lease_ends_, promised) << "what is promised now";
    EXPECT_GE(lease_ends_, promised_) << "what was promised before";
    promised_ = std::max(promised_, promised);
    // A clock that is off by a little is not told from one that is right.
    seconds off = std::chrono::ceil<seconds>(std::chrono::abs(scene_.skew));
    seconds unseen = off <= seconds(6) ? off : seconds(0);
    EXPECT_LE(at(now_).wall + last_.ttl, last_.record.expiry + unseen + seconds(1)) << "it would be taken over early";
    return true;
  }

  Scene scene_;
  std::mt19937 random_;
  nanoseconds now_ = milliseconds(300);
  bool wrong_wrote_ = false;
  WriteRecord last_;
  nanoseconds granted_{};
  BootTime lease_ends_;
  BootTime promised_;
};

void expect_no_more_is_promised(const FromExpiry::Scene& scene) {
  int done = 0;
  for (unsigned seed = 0; seed < 100 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << scene.skew.count() << " ns, seed " << seed);
    done += FromExpiry(scene, seed).run();
  }
  EXPECT_GE(done, 100) << "hardly anything was renewed";
}

TEST(LockRulesRenewal, SafetyR35_FromTheOldExpiryNoMoreIsPromisedThanExpiryShows) {
  for (nanoseconds skew : {nanoseconds(0), nanoseconds(seconds(-1)), nanoseconds(seconds(-2)), nanoseconds(seconds(-3)),
                           nanoseconds(seconds(-12)), nanoseconds(hours(-1)), nanoseconds(seconds(2))}) {
    expect_no_more_is_promised({.skew = skew});
  }
}

TEST(LockRulesRenewal, SafetyR35_FromTheOldExpiryALeadersChangePromisesNothing) {
  expect_no_more_is_promised({.leader_changes = true});
  // For certain: 5 s before the end the lease begins anew, and the other server renews.
  HeldLock lock = acquired(seconds(60), at(seconds(0)));
  WriteRecord last{.record = lock.record, .ttl = {}, .lifetime = {}, .end = {}};
  Instant now = at(seconds(55));
  for (int i = 1; i <= 3; ++i) {
    HeldLock seen = i == 1 ? seen_elsewhere(last, now.boot + milliseconds(62500), now) : written(last);
    last = write_of(decide_renew(renewal(seconds(60), RenewFrom::expiry), seen, now));
    EXPECT_EQ(last.record.expiry, lock.record.expiry + i * seconds(60));
    EXPECT_EQ(last.ttl, Ttl(6 + i * 60));
    EXPECT_EQ(end_of(last), now.boot + seconds(58 + i * 60)) << "the lease grows by the duration";
  }
}

// All the server's clocks stood still for 8 s, and then its wall clock was put right. The store looks at the lease
// (R34); but programs that go by `expiry` have counted on, and `expiry` must show what is promised.
TEST(LockRulesRenewal, SafetyR35_FromTheOldExpiryAPauseOfThisMachinePromisesNothing) {
  HeldLock lock = acquired(seconds(60), at(seconds(0)));
  for (int i = 1; i <= 3; ++i) {
    Instant now = at(seconds(10 * i), seconds(8));
    WriteRecord write = write_of(decide_renew(renewal(seconds(30), RenewFrom::expiry), lock, now));
    EXPECT_EQ(write.record.expiry, at(seconds(60 + 30 * i)).epoch());
    EXPECT_EQ(end_of(write), at(seconds(60 + 30 * i)).boot) << "the lease grows by the duration";
    EXPECT_EQ(write.ttl, Ttl(60 + 30 * i - (10 * i + 8) + 1));
    lock = written(write);
  }
}

// A clock that is behind makes `expiry` seem late enough for a lease that a new leader of etcd let begin anew; for
// other programs the lock may be over at any moment.
TEST(LockRulesRenewal, SafetyR35_FromNowALeadersChangePromisesNoMoreThanExpiryShows) {
  for (nanoseconds skew :
       {nanoseconds(seconds(-30)), nanoseconds(seconds(-12)), nanoseconds(0), nanoseconds(hours(1))}) {
    HeldLock lock = acquired(seconds(60), at(seconds(0)));
    WriteRecord last{.record = lock.record, .ttl = {}, .lifetime = {}, .end = {}};
    for (int i = 55; i <= 58; ++i) {
      Instant now = at(seconds(i), skew);
      HeldLock seen = i == 55 ? seen_elsewhere(last, now.boot + milliseconds(62500), now) : written(last);
      last = write_of(decide_renew(renewal(seconds(10)), seen, now));
      EXPECT_TRUE(keeps_its_lease(last));
      EXPECT_GE(last.ttl, Ttl(10));
      EXPECT_LE(at(seconds(i)).wall + last.ttl, last.record.expiry + seconds(1)) << "it would be taken over early";
    }
  }
}

TEST(LockRulesRenewal, SafetyR35_FromTheOldExpiryLeasesThatCantBeShortPromiseNothing) {
  expect_no_more_is_promised({.shortest = Ttl(8), .longest = seconds(2)});
  expect_no_more_is_promised({.leader_changes = true, .shortest = Ttl(8), .longest = seconds(2)});
}

TEST(LockRulesRenewal, ClocksOfOthersShowWhereRecordAndLeaseDisagree) {
  Instant now = at(seconds(5));
  for (nanoseconds skew : {nanoseconds(seconds(-12)), nanoseconds(0), nanoseconds(seconds(12))}) {
    AcquireRequest request{kLock, kMe, seconds(30), now.boot};
    WriteRecord write = write_of(decide_acquire(request, std::nullopt, at(seconds(5), skew)));
    HeldLock lock = seen_elsewhere(write, now.boot + milliseconds(31500), now);
    seconds shown = clock_ahead(lock, now);
    EXPECT_GE(shown * (skew.count() < 0 ? -1 : 1), seconds(skew.count() == 0 ? 0 : 7));
    EXPECT_LE(std::chrono::abs(shown), std::chrono::abs(duration_cast<seconds>(skew)));
  }
}

}  // namespace
}  // namespace sharedlock::renewals
