// Commits that lose a race, requests and answers that get lost: what may have happened is never called refused.
#include <gmock/gmock.h>

#include <chrono>
#include <string>

#include "lock/lock_service_fixture_test.h"

namespace sharedlock::test {
namespace {

TEST_F(LockServiceTest, ALostRaceIsDecidedAgainOnWhatTheWinnerLeft) {
  faults_.before_commit = [this] {
    faults_.before_commit = [] {};
    grant_of(acquire("faster"));
  };
  EXPECT_TRUE(is_refused(acquire("slower")));
  EXPECT_EQ(get()->record.holder.instance, "faster");
}

// The record changes before each commit, but the holder stays: as when another thread of the holder renews the lock.
TEST_F(LockServiceTest, RetriesUsedUpLeaveTheOutcomeUnknown) {
  grant_of(acquire("one"));
  std::string record = stored()->value;
  faults_.before_commit = [&] { store(record); };
  int before = faults_.commits();
  EXPECT_TRUE(is_unknown(renew("one")));
  EXPECT_EQ(faults_.commits() - before, 4) << "maxRetries + 1 attempts";
  auto released = release("one");
  ASSERT_FALSE(released);
  EXPECT_TRUE(outcome_unknown(released.error().code));
}

TEST_F(LockServiceTest, RetriesUsedUpAgainstAnotherHolderAreARefusal) {
  int commits = 0;
  faults_.before_commit = [&] {
    bool last = ++commits == 4;
    store(std::string(R"({"instanceId":"me","leaseDuration":9,"expiry":9999999999,"owner":)") +
          (last ? R"("other"})" : R"("owner"})"));
  };
  EXPECT_TRUE(is_refused(acquire("me")));
  EXPECT_EQ(commits, 4);
}

TEST_F(LockServiceTest, AcquireWhoseAnswerWasLostBeginsAnotherHolding) {
  faults_.next_commit(FaultStore::Fault::answer_lost);
  LockGrant grant = grant_of(acquire("one"));
  EXPECT_EQ(faults_.commits(), 2);
  EXPECT_EQ(get()->token, grant.token);
  EXPECT_EQ(number_of(grant.token), number_of(stored()->revision)) << "that of the second write";
}

TEST_F(LockServiceTest, AcquireWhoseRequestWasLostIsTriedAgain) {
  faults_.next_commit(FaultStore::Fault::request_lost);
  grant_of(acquire("one"));
  EXPECT_EQ(get()->record.holder.instance, "one");
}

TEST_F(LockServiceTest, RenewWhoseAnswerWasLostIsSeenToHaveHappened) {
  FencingToken token = grant_of(acquire("one", seconds(10))).token;
  faults_.next_commit(FaultStore::Fault::answer_lost);
  LockGrant renewed = grant_of(renew("one", seconds(20)));
  EXPECT_EQ(renewed.token, token);
  EXPECT_EQ(renewed.ttl, seconds(30)) << "extended once, not twice";
  EXPECT_EQ(faults_.commits(), 2);
}

TEST_F(LockServiceTest, ReleaseWhoseAnswerWasLostIsSeenToHaveHappened) {
  grant_of(acquire("one"));
  faults_.next_commit(FaultStore::Fault::answer_lost);
  auto released = release("one");
  ASSERT_TRUE(released);
  EXPECT_FALSE(*released);
  EXPECT_EQ(faults_.commits(), 2);
}

// The try may reach the store late, when the present holder has released the lock.
TEST_F(LockServiceTest, SafetyR06_ATryThatMayTakeTheLockLaterIsNotRefused) {
  const std::string others = R"({"owner":"other","instanceId":"other","leaseDuration":9,"expiry":9999999999})";
  faults_.before_commit = [&] { store(others); };
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(is_unknown(acquire("slow")));

  faults_.before_commit = [] {};
  ASSERT_TRUE(run_task(locks_.force_release(kLock, clock_.boot_now())));
  faults_.before_commit = [&] { store(others); };
  faults_.next_commit(FaultStore::Fault::request_over);
  EXPECT_TRUE(is_refused(acquire("slow"))) << "it was lost for good";
}

TEST_F(LockServiceTest, SafetyR06_ATryThatMayTakeTheLockLaterIsNotRefusedByTheNextOneEither) {
  int commits = 0;
  faults_.before_commit = [&] {
    if (++commits == 2) store(R"({"owner":"other","instanceId":"other","leaseDuration":9,"expiry":9999999999})");
  };
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(is_unknown(acquire("slow")));
  EXPECT_EQ(commits, 2);
}

TEST_F(LockServiceTest, SafetyR06_ARenewalThatMayHappenLaterIsNotRefused) {
  grant_of(acquire("one", seconds(10)));
  auto expiry_passes = [this] { clock_.set_wall(clock_.wall_now() + seconds(20)); };
  faults_.before_commit = expiry_passes;
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(is_unknown(renew("one", seconds(10)))) << "the record that it is to change still stands";

  faults_.before_commit = [] {};
  grant_of(acquire("one", seconds(10)));
  faults_.before_commit = [&] {
    faults_.before_commit = [] {};
    store(R"({"owner":"other","instanceId":"other","leaseDuration":9,"expiry":9999999999})");
  };
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(is_refused(renew("one", seconds(10)))) << "that record is gone for good";
}

TEST_F(LockServiceTest, UnknownStaysUnknownWhenTheReadFailsToo) {
  faults_.next_commit(FaultStore::Fault::request_lost);
  faults_.before_commit = [this] { faults_.fail_reads(true); };
  EXPECT_TRUE(is_unknown(acquire("one")));
}

TEST_F(LockServiceTest, AStoreThatIsAwayIsNeverARefusal) {
  EXPECT_TRUE(acquire("one"));
  faults_.fail_reads(true);
  EXPECT_TRUE(is_unknown(acquire("two")));
  EXPECT_TRUE(is_unknown(renew("one")));
  EXPECT_FALSE(release("one"));
  EXPECT_FALSE(run_task(locks_.get(kLock, clock_.boot_now())));
}

TEST_F(LockServiceTest, ADefiniteErrorIsNotRetried) {
  faults_.next_commit(FaultStore::Fault::refused_broken);
  Answer answer = acquire("one");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::corrupt);
  EXPECT_EQ(faults_.commits(), 1);
}

}  // namespace
}  // namespace sharedlock::test
