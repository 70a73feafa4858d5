#include "lock/rules.h"

#include <gmock/gmock.h>

namespace sharedlock {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr EpochSeconds kNow{seconds(1'000'000)};
constexpr BootTime kBoot{seconds(5000)};
constexpr Instant kAt{kNow, kBoot};
const LockName kLock{"space", "name"};
const Holder kMe{"owner", "instance"};

HeldLock held_by(const Holder& holder, EpochSeconds expiry, seconds duration = seconds(30)) {
  LockRecord record{.lock = kLock,
                    .holder = holder,
                    .duration = duration,
                    .expiry = expiry,
                    .carried_token = std::nullopt,
                    .unknown_members = ",\"note\":1.50"};
  BootTime end = kBoot + (expiry - kNow);
  return {.record = record,
          .token = FencingToken{7},
          .revision = Revision{9},
          .lease = LeaseId{11},
          .end = PresentEnd{end, end, Promised{end, nanoseconds(0)}}};
}

AcquireRequest acquire(seconds duration = seconds(30)) {
  return {kLock, kMe, duration, BootTime{}};
}

RenewRequest renew(seconds duration, RenewFrom from = RenewFrom::expiry, std::optional<FencingToken> token = {}) {
  return {kLock, kMe, duration, from, token, BootTime{}};
}

ReleaseRequest release(std::optional<FencingToken> token = {}) {
  return {kLock, kMe, token, BootTime{}};
}

template <class Kind>
Kind as(const Decision& decision) {
  EXPECT_TRUE(std::holds_alternative<Kind>(decision)) << "decision number " << decision.index();
  return std::holds_alternative<Kind>(decision) ? std::get<Kind>(decision) : Kind{};
}

TEST(LockRules, AcquireOfAFreeLockIsGranted) {
  auto write = as<WriteRecord>(decide_acquire(acquire(seconds(30)), std::nullopt, kAt));
  EXPECT_EQ(write.record.holder, kMe);
  EXPECT_EQ(write.record.lock.namespace_name, "space");
  EXPECT_EQ(write.record.lock.name, "name");
  EXPECT_EQ(write.record.duration, seconds(30));
  EXPECT_EQ(write.record.expiry, kNow + seconds(30));
  EXPECT_EQ(write.ttl, seconds(30));
}

// R5: a re-acquire begins a new holding, so it carries no token; R30: nor anything else of the old record.
TEST(LockRules, SafetyR05_ReacquireByTheHolderBeginsAFreshRecord) {
  HeldLock mine = held_by(kMe, kNow + seconds(500), seconds(500));
  mine.record.carried_token = FencingToken{3};
  auto write = as<WriteRecord>(decide_acquire(acquire(seconds(10)), mine, kAt));
  EXPECT_EQ(write.record.carried_token, std::nullopt);
  EXPECT_EQ(write.record.unknown_members, "");
  EXPECT_EQ(write.record.expiry, kNow + seconds(10)) << "from now, with the new duration";
  EXPECT_EQ(write.ttl, seconds(10));
}

TEST(LockRules, AcquireOfAnothersLockIsRefusedWithItsHolder) {
  for (const Holder& other : {Holder{"owner", "other"}, Holder{"other", "instance"}, Holder{"other", "other"}}) {
    auto refused = as<Refused>(decide_acquire(acquire(), held_by(other, kNow + seconds(5)), kAt));
    ASSERT_TRUE(refused.holder);
    EXPECT_EQ(refused.holder->owner, other.owner);
    EXPECT_EQ(refused.holder->expiry, kNow + seconds(5));
  }
}

// R10: a record without a lease would never end by itself.
TEST(LockRules, SafetyR10_ARecordWithoutALeaseIsTakenOverWhenItWasSeenForItsDuration) {
  HeldLock abandoned = held_by({"other", "other"}, kNow - seconds(1), seconds(30));
  abandoned.leaseless_for = seconds(30);
  EXPECT_EQ(as<WriteRecord>(decide_acquire(acquire(), abandoned, kAt)).record.holder, kMe);
}

TEST(LockRules, SafetyR10_ARecordWithoutALeaseIsNotTakenOverBefore) {
  HeldLock seen_shortly = held_by({"other", "other"}, kNow - std::chrono::hours(1), seconds(30));
  seen_shortly.leaseless_for = seconds(30) - std::chrono::nanoseconds(1);
  EXPECT_TRUE(as<Refused>(decide_acquire(acquire(), seen_shortly, kAt)).holder);
  HeldLock not_past = held_by({"other", "other"}, kNow, seconds(30));
  not_past.leaseless_for = std::chrono::hours(1);
  EXPECT_TRUE(as<Refused>(decide_acquire(acquire(), not_past, kAt)).holder);
}

TEST(LockRules, SafetyR10_ADurationThatNanosecondsCannotHoldIsNotOver) {
  for (auto duration : {seconds(9'300'000'000), seconds(1'000'000'000'000)}) {
    HeldLock odd = held_by({"other", "other"}, kNow - std::chrono::hours(1), duration);
    odd.leaseless_for = std::chrono::hours(1000);
    EXPECT_TRUE(as<Refused>(decide_acquire(acquire(), odd, kAt)).holder) << duration.count();
  }
}

TEST(LockRules, SafetyR10_ARecordWithoutALeaseAndWithoutADurationIsNotTakenOverAtSight) {
  HeldLock odd = held_by({"other", "other"}, kNow - std::chrono::hours(1), seconds(0));
  for (auto seen : {std::chrono::nanoseconds(0), seconds(10) - std::chrono::nanoseconds(1)}) {
    odd.leaseless_for = seen;
    EXPECT_TRUE(as<Refused>(decide_acquire(acquire(), odd, kAt)).holder);
  }
  odd.leaseless_for = seconds(10);
  EXPECT_EQ(as<WriteRecord>(decide_acquire(acquire(), odd, kAt)).record.holder, kMe);
}

// R10: only the lease ends a lock; as long as the entry is there, no clock frees it.
TEST(LockRules, SafetyR10_AcquireOfAnothersLockPastItsExpiryIsRefused) {
  HeldLock past = held_by({"other", "other"}, kNow - std::chrono::hours(1000));
  EXPECT_TRUE(as<Refused>(decide_acquire(acquire(), past, kAt)).holder);
}

struct RenewCase {
  const char* what;
  seconds left;   // from now to the expiry that stands there
  seconds asked;  // leaseDuration of the renewal
  RenewFrom from;
  seconds new_left;  // from now to the new expiry
};

void PrintTo(const RenewCase& given, std::ostream* out) {
  *out << given.what;
}

class LockRulesRenew : public testing::TestWithParam<RenewCase> {};

TEST_P(LockRulesRenew, MovesTheExpiry) {
  const RenewCase& given = GetParam();
  HeldLock mine = held_by(kMe, kNow + given.left, seconds(100));
  auto write = as<WriteRecord>(decide_renew(renew(given.asked, given.from), mine, kAt));
  EXPECT_EQ(write.record.expiry, kNow + given.new_left) << given.what;
  EXPECT_EQ(write.record.duration, seconds(100) + given.new_left - given.left) << "grows by what was really added";
  EXPECT_EQ(write.ttl, given.new_left);
  EXPECT_EQ(write.record.carried_token, FencingToken{7}) << "a renewal keeps the token";
  EXPECT_EQ(write.record.unknown_members, ",\"note\":1.50") << "and what others wrote into the record";
}

INSTANTIATE_TEST_SUITE_P(
    Cases, LockRulesRenew,
    testing::Values(
        RenewCase{"extends from the old expiry", seconds(20), seconds(30), RenewFrom::expiry, seconds(50)},
        RenewCase{"in its very last second", seconds(0), seconds(30), RenewFrom::expiry, seconds(30)},
        RenewCase{"is clamped to a day from now", seconds(86000), seconds(1000), RenewFrom::expiry, seconds(86400)},
        RenewCase{"never shortens what is beyond a day", seconds(90000), seconds(10), RenewFrom::expiry,
                  seconds(90000)},
        RenewCase{"from now", seconds(5), seconds(30), RenewFrom::now, seconds(30)},
        RenewCase{"SafetyR06: from now never shortens", seconds(50), seconds(30), RenewFrom::now, seconds(50)},
        RenewCase{"from now, a day", seconds(50), seconds(86400), RenewFrom::now, seconds(86400)}));

TEST(LockRules, RenewOfAFreeLockIsRefused) {
  EXPECT_FALSE(as<Refused>(decide_renew(renew(seconds(30)), std::nullopt, kAt)).holder);
}

TEST(LockRules, RenewByAnotherInstanceIsRefused) {
  EXPECT_TRUE(
      as<Refused>(decide_renew(renew(seconds(30)), held_by({"owner", "other"}, kNow + seconds(9)), kAt)).holder);
}

TEST(LockRules, SafetyR11_RenewPastTheExpiryIsRefusedThoughTheEntryStands) {
  as<Refused>(decide_renew(renew(seconds(30)), held_by(kMe, kNow - seconds(1)), kAt));
}

TEST(LockRules, SafetyR06_RenewWithAnotherTokenIsRefused) {
  HeldLock mine = held_by(kMe, kNow + seconds(9));
  as<Refused>(decide_renew(renew(seconds(30), RenewFrom::expiry, FencingToken{6}), mine, kAt));
  as<WriteRecord>(decide_renew(renew(seconds(30), RenewFrom::expiry, FencingToken{7}), mine, kAt));
}

TEST(LockRules, ReleaseOfMineErasesIt) {
  as<EraseRecord>(decide_release(release(), held_by(kMe, kNow + seconds(9)), kAt));
}

TEST(LockRules, ReleaseOfMinePastItsExpiryErasesIt) {
  as<EraseRecord>(decide_release(release(), held_by(kMe, kNow - seconds(9)), kAt));
}

TEST(LockRules, ReleaseOfAFreeLockHasNothingToDo) {
  as<NothingToDo>(decide_release(release(), std::nullopt, kAt));
  as<NothingToDo>(decide_release(release(FencingToken{5}), std::nullopt, kAt));
}

TEST(LockRules, ReleaseOfAnothersLockIsRefused) {
  EXPECT_TRUE(as<Refused>(decide_release(release(), held_by({"other", "instance"}, kNow), kAt)).holder);
}

TEST(LockRules, ReleaseOfAnothersLockPastItsExpiryHasNothingToDo) {
  as<NothingToDo>(decide_release(release(), held_by({"other", "instance"}, kNow - seconds(1)), kAt));
}

TEST(LockRules, SafetyR06_ReleaseWithAnotherTokenIsRefused) {
  as<Refused>(decide_release(release(FencingToken{8}), held_by(kMe, kNow + seconds(9)), kAt));
  as<EraseRecord>(decide_release(release(FencingToken{7}), held_by(kMe, kNow + seconds(9)), kAt));
}

}  // namespace
}  // namespace sharedlock
