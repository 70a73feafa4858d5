#include "lock/lock_service.h"

#include <gmock/gmock.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "lock/lock_service_fixture_test.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

TEST_F(LockServiceTest, GrantStandsInTheStoreAsTheSeedLaysItOut) {
  LockGrant grant = grant_of(acquire("one"));
  EXPECT_EQ(grant.ttl, seconds(30));
  auto entry = stored();
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->value,
            R"({"namespace":"space","lockName":"name","owner":"owner","instanceId":"one","leaseDuration":30,)"
            R"("expiry":1735689630})");
  EXPECT_EQ(number_of(grant.token), number_of(entry->revision));
}

TEST_F(LockServiceTest, SafetyR05_TokensGrowWithEveryHoldingAndStayOverRenewals) {
  FencingToken first = grant_of(acquire("one")).token;
  EXPECT_EQ(grant_of(renew("one")).token, first);
  EXPECT_EQ(grant_of(renew("one", seconds(10), first)).token, first);
  EXPECT_EQ(get()->token, first);
  FencingToken again = grant_of(acquire("one")).token;
  EXPECT_GT(again, first);
  ASSERT_TRUE(release("one"));
  EXPECT_EQ(get(), std::nullopt);
  EXPECT_GT(grant_of(acquire("two")).token, again);
}

TEST_F(LockServiceTest, LockEndsWithItsLease) {
  grant_of(acquire("one", seconds(10)));
  clock_.advance(seconds(9));
  EXPECT_TRUE(is_refused(acquire("two")));
  clock_.advance(seconds(2));
  grant_of(acquire("two"));
}

TEST_F(LockServiceTest, RenewedLockLivesToItsNewExpiry) {
  grant_of(acquire("one", seconds(10)));
  EXPECT_EQ(grant_of(renew("one", seconds(20))).ttl, seconds(30));
  clock_.advance(seconds(29));
  EXPECT_TRUE(is_refused(acquire("two")));
  clock_.advance(seconds(2));
  grant_of(acquire("two"));
}

TEST_F(LockServiceTest, SafetyR10_AWallClockThatJumpsAheadFreesNoLock) {
  grant_of(acquire("one", seconds(10)));
  clock_.set_wall(clock_.wall_now() + std::chrono::hours(1000));
  EXPECT_TRUE(is_refused(acquire("two")));
}

TEST_F(LockServiceTest, SafetyR12_OnlyARefusedTryAnswersWithoutWaitingForTheDisk) {
  grant_of(acquire("one"));
  EXPECT_TRUE(is_refused(acquire("two")));
  EXPECT_EQ(faults_.settled_calls(), 0);
  get();
  EXPECT_EQ(faults_.settled_calls(), 1);
  EXPECT_TRUE(is_refused(renew("two")));
  EXPECT_EQ(faults_.settled_calls(), 2);
  ASSERT_TRUE(release("one"));
  ASSERT_TRUE(release("one")) << "free already";
  EXPECT_EQ(faults_.settled_calls(), 3);
}

TEST_F(LockServiceTest, AnAcquireOfAFreeLockSparesTheLook) {
  grant_of(acquire("one"));
  EXPECT_EQ(faults_.reads(), 0);
  EXPECT_EQ(faults_.commits(), 1);
}

TEST_F(LockServiceTest, ATryThatIsRefusedAgainIsNoWrite) {
  grant_of(acquire("one"));
  EXPECT_TRUE(is_refused(acquire("two")));
  EXPECT_TRUE(is_refused(acquire("two")));
  EXPECT_EQ(faults_.commits(), 1);
  EXPECT_EQ(faults_.reads(), 2);
}

// Another server's grant is not known here: the first try is a commit that loses, and its answer tells the holder.
TEST_F(LockServiceTest, AWrongGuessIsPutRightWithoutARetry) {
  LockService other({.key_prefix = "locks/", .max_retries = 0}, faults_, clock_, log_);
  auto acquire_there = [&](std::string instance) {
    return run_task(other.acquire({kLock, {"owner", std::move(instance)}, seconds(30), clock_.boot_now()}));
  };
  auto first = grant_of(acquire("one"));
  EXPECT_TRUE(is_refused(acquire_there("two")));
  EXPECT_EQ(faults_.reads(), 0);

  LockService another({.key_prefix = "locks/", .max_retries = 0}, faults_, clock_, log_);
  auto again = run_task(another.acquire({kLock, {"owner", "one"}, seconds(30), clock_.boot_now()}));
  EXPECT_GT(grant_of(again).token, first.token) << "it is mine: a new holding";
}

TEST_F(LockServiceTest, AReleasedLockIsThoughtFree) {
  grant_of(acquire("one"));
  EXPECT_TRUE(release("one"));
  int reads = faults_.reads();
  grant_of(acquire("two"));
  EXPECT_EQ(faults_.reads(), reads);
}

TEST_F(LockServiceTest, AGarbageRecordIsAnErrorAndIsLeftAlone) {
  store("garbage");
  for (auto answer : {acquire("one"), renew("one")}) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::corrupt);
  }
  EXPECT_FALSE(release("one"));
  EXPECT_EQ(stored()->value, "garbage");
}

// R7: a grant of which less than half is left is of no use, and no other request should have to wait for its end.
TEST_F(LockServiceTest, SafetyR07_ALateGrantIsTakenBack) {
  faults_.after_commit = [this] {
    faults_.after_commit = [] {};
    clock_.advance(seconds(6));
  };
  EXPECT_TRUE(is_unknown(acquire("one", seconds(10))));
  EXPECT_EQ(stored(), std::nullopt);
}

TEST_F(LockServiceTest, SafetyR07_AGrantWithinHalfOfItsDurationStands) {
  faults_.after_commit = [this] {
    faults_.after_commit = [] {};
    clock_.advance(seconds(5));
  };
  EXPECT_EQ(grant_of(acquire("one", seconds(10))).ttl, seconds(10)) << "counted from the request, not from now";
}

TEST_F(LockServiceTest, SafetyR07_HalfOfASecondIsNotRoundedDown) {
  faults_.after_commit = [this] {
    faults_.after_commit = [] {};
    clock_.advance(std::chrono::milliseconds(499));
  };
  grant_of(acquire("one", seconds(1)));
}

// Its owner may still count on the holding that it replaced, so erasing it could make two holders.
TEST_F(LockServiceTest, SafetyR07_ALateReacquireIsNotTakenBack) {
  grant_of(acquire("one", seconds(100)));
  faults_.after_commit = [this] {
    faults_.after_commit = [] {};
    clock_.advance(seconds(6));
  };
  EXPECT_TRUE(is_unknown(acquire("one", seconds(10))));
  EXPECT_TRUE(stored());
}

TEST_F(LockServiceTest, SafetyR07_ALateRenewalStands) {
  grant_of(acquire("one", seconds(10)));
  faults_.after_commit = [this] {
    faults_.after_commit = [] {};
    clock_.advance(seconds(9));
  };
  grant_of(renew("one", seconds(5)));
}

// R3: the take-back is guarded by the grant's own revision.
TEST_F(LockServiceTest, SafetyR03_ALateGrantThatHasChangedSinceIsLeftAlone) {
  faults_.after_commit = [this] {
    faults_.after_commit = [] {};
    clock_.advance(seconds(6));
    store(R"({"owner":"other","instanceId":"other","leaseDuration":9,"expiry":9999999999})");
  };
  EXPECT_TRUE(is_unknown(acquire("one", seconds(10))));
  EXPECT_EQ(get()->record.holder.owner, "other");
}

TEST_F(LockServiceTest, SafetyR03_AnUndeliveredGrantIsTakenBackAsSoonAsTheStoreAnswers) {
  LockGrant grant = grant_of(acquire("instance-1", seconds(60)));
  BootTime begun = clock_.boot_now();
  for (int i = 0; i < 3; ++i) faults_.next_commit(FaultStore::Fault::request_lost);
  locks_.take_back(threads_.executor(0), grant);
  EXPECT_TRUE(eventually([&] {
    clock_.advance(std::chrono::milliseconds(10));
    return !stored();
  }));
  EXPECT_LT(clock_.boot_now() - begun, seconds(30)) << "not by the end of its lease";
}

}  // namespace
}  // namespace sharedlock::test
