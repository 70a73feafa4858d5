#include "lock/commit_attempt.h"

#include <gmock/gmock.h>

#include <vector>

namespace sharedlock {
namespace {

using std::chrono::seconds;
using Next = CommitAttempt::Next;
using All = std::vector<Decided>;
using Stand = std::vector<std::optional<Entry>>;

constexpr int kRetries = 3;
const Holder kMe{"owner", "mine"};
const Error kNoAnswer{Errc::unavailable, "no answer"};       // it may happen even later
const Error kOver{Errc::unanswered, "no answer, but over"};  // it can't
const std::optional<Entry> kFree;

LockRecord record_of(const Holder& holder) {
  return {.lock = {"space", "name"},
          .holder = holder,
          .duration = seconds(30),
          .expiry = EpochSeconds(seconds(1000)),
          .carried_token = std::nullopt,
          .unknown_members = ""};
}

std::optional<HeldLock> seen_at(int revision) {
  return HeldLock{.record = record_of(kMe),
                  .token = FencingToken{revision},
                  .revision = Revision{revision},
                  .lease = LeaseId{11},
                  .end = std::nullopt};
}

WriteRecord a_write(bool adds = false) {
  return {.record = record_of(kMe), .ttl = Ttl(30), .lifetime = PooledLease{Ttl(30)}, .end = {}, .adds = adds};
}

// One lock: what was decided on it.
All acquires() {
  return {{a_write(), std::nullopt, Revision{}}};
}
All acquires_again(int revision) {
  return {{a_write(), seen_at(revision), Revision{}}};
}
All adds_to(int revision) {
  return {{a_write(true), seen_at(revision), Revision{}}};
}
All releases(int revision) {
  return {{EraseRecord{}, seen_at(revision), Revision{}}};
}
All a_refusal() {
  return {{Refused{}, seen_at(9), Revision{}}};
}
All nothing_to_do() {
  return {{NothingToDo{}, std::nullopt, Revision{}}};
}
All needs_the_end() {
  return {{NeedsEnd{}, seen_at(9), Revision{}}};
}
All both(const All& one, const All& other) {
  return {one.front(), other.front()};
}

// What stands there: our record, or another one's.
Entry ours_at(int revision) {
  return {.value = to_json(record_of(kMe)), .lease = LeaseId{11}, .created = {}, .revision = Revision{revision}};
}
Entry others_at(int revision) {
  LockRecord record = record_of({"owner", "other"});
  return {.value = to_json(record), .lease = LeaseId{12}, .created = {}, .revision = Revision{revision}};
}

// A commit without an answer, and the look that follows it.
Next unanswered(CommitAttempt& attempt, const Error& why, const All& tried, const Stand& stand) {
  EXPECT_EQ(attempt.commit_failed(why), Next::look);
  return attempt.looked(tried, stand, expected(tried.front().seen));
}

std::string message_of(const CommitAttempt& attempt) {
  return attempt.failure().message;
}

TEST(CommitAttempt, WhatChangesSomethingIsCommitted) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(attempt.decided(acquires(), kFree), Next::commit);
  EXPECT_EQ(attempt.decided(releases(9), ours_at(9)), Next::commit);
}

TEST(CommitAttempt, ARefusalAndNothingToDoAreAnswers) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(attempt.decided(a_refusal(), others_at(9)), Next::done);
  EXPECT_EQ(attempt.decided(nothing_to_do(), kFree), Next::done);
}

TEST(CommitAttempt, TheEndOfALeaseIsAskedForOnlyIfNoLockIsRefused) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(attempt.decided(needs_the_end(), ours_at(9)), Next::ask_end);
  EXPECT_EQ(attempt.decided(both(acquires(), needs_the_end()), kFree), Next::ask_end);
  EXPECT_EQ(attempt.decided(both(a_refusal(), needs_the_end()), others_at(9)), Next::done);
}

TEST(CommitAttempt, OfASetNothingIsCommittedIfOneIsRefused) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(attempt.decided(both(acquires(), a_refusal()), kFree), Next::done);
  EXPECT_EQ(attempt.decided(both(nothing_to_do(), releases(9)), kFree), Next::commit);
}

TEST(CommitAttempt, ALostRaceIsDecidedAgainUntilRetriesRunOut) {
  CommitAttempt attempt(kRetries, false);
  for (int lost = 0; lost < kRetries; ++lost) {
    attempt.lost_race();
    EXPECT_EQ(attempt.decided(acquires(), kFree), Next::commit);
  }
  attempt.lost_race();
  EXPECT_EQ(attempt.decided(acquires(), kFree), Next::fail);
  EXPECT_EQ(message_of(attempt), ran_out_of_retries().message);
}

TEST(CommitAttempt, WithoutRetriesARefusalIsStillAnAnswer) {
  CommitAttempt attempt(0, false);
  attempt.lost_race();
  EXPECT_EQ(attempt.decided(a_refusal(), others_at(9)), Next::done);
}

TEST(CommitAttempt, AGuessThatFailsCostsNoRetry) {
  CommitAttempt attempt(0, true);
  EXPECT_TRUE(attempt.guesses());
  attempt.lost_race();
  EXPECT_FALSE(attempt.guesses());
  EXPECT_EQ(attempt.decided(acquires(), kFree), Next::commit);
  attempt.lost_race();
  EXPECT_EQ(attempt.decided(acquires(), kFree), Next::fail);
}

TEST(CommitAttempt, ALeaseThatHadEndedCostsARetry) {
  CommitAttempt attempt(1, false);
  EXPECT_EQ(attempt.lease_had_ended(), Next::look);
  EXPECT_EQ(attempt.lease_had_ended(), Next::look);
  EXPECT_EQ(attempt.lease_had_ended(), Next::fail);
  EXPECT_EQ(message_of(attempt), ran_out_of_retries().message);
}

TEST(CommitAttempt, AnErrorThatRulesTheChangeOutEndsIt) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(attempt.commit_failed({Errc::overloaded, "too much"}), Next::fail);
}

TEST(CommitAttempt, AnUnansweredReleaseThatIsSeenToHaveHappenedIsDone) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kNoAnswer, releases(9), {kFree}), Next::check_promise);
}

TEST(CommitAttempt, SafetyR07_AnUnansweredAdditionCountsOnceItsRecordStandsThere) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kNoAnswer, adds_to(9), {ours_at(10)}), Next::check_promise);
}

TEST(CommitAttempt, OfASetAllMustBeSeenToHaveHappened) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kNoAnswer, both(releases(9), releases(9)), {kFree, ours_at(9)}), Next::decide);
  EXPECT_EQ(unanswered(attempt, kNoAnswer, both(releases(9), releases(9)), {kFree, kFree}), Next::check_promise);
}

TEST(CommitAttempt, SafetyR05_AnUnansweredAcquireIsDoneAgainEvenIfItsRecordStandsThere) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kNoAnswer, acquires(), {ours_at(10)}), Next::decide);
  EXPECT_EQ(attempt.decided(acquires_again(10), ours_at(10)), Next::commit);
}

TEST(CommitAttempt, SafetyR07_WhatMayHaveBeenAddedIsNotAddedAgain) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kOver, adds_to(9), {others_at(10)}), Next::decide);
  EXPECT_EQ(attempt.decided(adds_to(10), ours_at(10)), Next::fail);
  EXPECT_EQ(message_of(attempt), kOver.message);
}

TEST(CommitAttempt, WhatWasNotAddedIsAddedAtTheSameRevisionAgain) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kNoAnswer, adds_to(9), {ours_at(9)}), Next::decide);
  EXPECT_EQ(attempt.decided(adds_to(9), ours_at(9)), Next::commit);
}

TEST(CommitAttempt, SafetyR06_NoRefusalWhileAnUnansweredTryMayTakeTheLockOnceItIsFree) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kNoAnswer, acquires(), {others_at(9)}), Next::decide);
  EXPECT_EQ(attempt.decided(a_refusal(), others_at(9)), Next::fail);
  EXPECT_EQ(message_of(attempt), kNoAnswer.message);
}

TEST(CommitAttempt, SafetyR06_NoAnswerWhileWhatAnUnansweredTryExpectsStillStands) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kNoAnswer, acquires_again(9), {ours_at(9)}), Next::decide);
  EXPECT_EQ(attempt.decided(nothing_to_do(), ours_at(9)), Next::fail);
  EXPECT_EQ(attempt.decided(a_refusal(), others_at(10)), Next::done) << "that revision never comes back";
}

TEST(CommitAttempt, ATryThatIsOverKeepsNoRefusalBack) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(unanswered(attempt, kOver, acquires(), {others_at(9)}), Next::decide);
  EXPECT_EQ(attempt.decided(a_refusal(), others_at(9)), Next::done);
}

TEST(CommitAttempt, ATryThatCanHappenAtNoTimeKeepsNoRefusalBack) {
  CommitAttempt attempt(kRetries, false);
  EXPECT_EQ(attempt.commit_failed(kNoAnswer), Next::look);
  EXPECT_EQ(attempt.looked(acquires(), Stand{others_at(9)}, std::nullopt), Next::decide);
  EXPECT_EQ(attempt.decided(a_refusal(), others_at(9)), Next::done);
}

TEST(CommitAttempt, UnansweredTriesCostNoRetryUntilThereWereTooMany) {
  CommitAttempt attempt(1, false);
  for (int tries = 0; tries < 1 + 1; ++tries) unanswered(attempt, kNoAnswer, acquires(), {kFree});
  attempt.lost_race();
  EXPECT_EQ(attempt.decided(acquires(), kFree), Next::commit) << "the one retry is left";
  unanswered(attempt, kNoAnswer, acquires(), {kFree});
  EXPECT_EQ(attempt.decided(acquires(), kFree), Next::fail);
  EXPECT_EQ(message_of(attempt), kNoAnswer.message);
}

TEST(CommitAttempt, ARaceThatIsLostForCertainClearsATryThatIsOver) {
  CommitAttempt attempt(0, false);
  unanswered(attempt, kOver, acquires(), {kFree});
  attempt.lost_race();
  EXPECT_EQ(attempt.decided(acquires(), kFree), Next::fail);
  EXPECT_EQ(message_of(attempt), ran_out_of_retries().message);
}

TEST(CommitAttempt, ALostRaceClearsNoTryThatMayHappenYet) {
  CommitAttempt attempt(0, false);
  unanswered(attempt, kNoAnswer, acquires(), {kFree});
  attempt.lost_race();
  EXPECT_EQ(attempt.decided(acquires(), kFree), Next::fail);
  EXPECT_EQ(message_of(attempt), kNoAnswer.message);
}

TEST(CommitAttempt, WhatFailsAfterAnUnansweredTryLeavesTheOutcomeUnknown) {
  CommitAttempt attempt(kRetries, false);
  const Error broken{Errc::overloaded, "too much"};
  EXPECT_EQ(attempt.failure(broken).code, Errc::overloaded);
  unanswered(attempt, kNoAnswer, acquires(), {kFree});
  EXPECT_EQ(attempt.failure(broken).code, Errc::unavailable);
}

}  // namespace
}  // namespace sharedlock
