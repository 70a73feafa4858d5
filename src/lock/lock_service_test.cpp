#include "lock/lock_service.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "base/io_threads.h"
#include "base/manual_clock.h"
#include "store/memory/memory_store.h"
#include "support/eventually.h"
#include "support/fault_store.h"
#include "support/run_task.h"

namespace sharedlock {
namespace {

using std::chrono::seconds;
using test::eventually;
using test::FaultStore;
using test::run_task;
using Answer = Result<LockAnswer>;

class LockServiceTest : public testing::Test {
 protected:
  LockServiceTest() : store_(make_memory_store(clock_)), faults_(*store_), locks_(options(), faults_, clock_, log_) {}

  static LockServiceOptions options() { return {.key_prefix = "locks/", .max_retries = 3}; }

  Answer acquire(std::string instance, seconds duration = seconds(30)) {
    return run_task(locks_.acquire({kLock, {"owner", std::move(instance)}, duration, clock_.boot_now()}));
  }
  Answer renew(std::string instance, seconds duration = seconds(30), std::optional<FencingToken> token = {}) {
    return run_task(
        locks_.renew({kLock, {"owner", std::move(instance)}, duration, RenewFrom::expiry, token, clock_.boot_now()}));
  }
  Result<std::optional<Refused>> release(std::string instance, std::optional<FencingToken> token = {}) {
    return run_task(locks_.release({kLock, {"owner", std::move(instance)}, token, clock_.boot_now()}));
  }
  std::optional<HeldLock> get() { return run_task(locks_.get(kLock, clock_.boot_now())).value(); }

  // What stands in the store, changed by other programs.
  std::optional<Entry> stored() { return run_task(store_->get("locks/space:name", Deadline::never()))->entry; }
  void store(std::string value) {
    Transaction transaction;
    transaction.changes.emplace_back(Put{"locks/space:name", std::move(value), PooledLease{seconds(60)}});
    ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  }
  void erase() {
    Transaction transaction;
    transaction.changes.emplace_back(Erase{"locks/space:name"});
    ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  }

  const LockName kLock{"space", "name"};
  ManualClock clock_;
  Log log_{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<LeaseStore> store_;
  FaultStore faults_;
  IoThreads threads_{1};
  LockService locks_;
};

LockGrant grant_of(const Answer& answer) {
  EXPECT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer && std::holds_alternative<LockGrant>(*answer)) << "refused";
  return std::get<LockGrant>(answer.value());
}

bool is_refused(const Answer& answer) {
  return answer && std::holds_alternative<Refused>(*answer);
}

bool is_unknown(const Answer& answer) {
  return !answer && outcome_unknown(answer.error().code);
}

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
  EXPECT_EQ(faults_.settlements(), 0);
  get();
  EXPECT_EQ(faults_.settlements(), 1);
  EXPECT_TRUE(is_refused(renew("two")));
  EXPECT_EQ(faults_.settlements(), 2);
  ASSERT_TRUE(release("one"));
  ASSERT_TRUE(release("one")) << "free already";
  EXPECT_EQ(faults_.settlements(), 3);
}

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

TEST_F(LockServiceTest, ADefiniteErrorIsNotRetried) {
  faults_.next_commit(FaultStore::Fault::refused_broken);
  Answer answer = acquire("one");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::corrupt);
  EXPECT_EQ(faults_.commits(), 1);
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

// Two servers on one store.
class LocksOnAStoreOfMany : public LockServiceTest {
 protected:
  LocksOnAStoreOfMany() { faults_.others_write(); }

  Answer renew_there(std::string instance) {
    return run_task(other_.renew(
        {kLock, {"owner", std::move(instance)}, seconds(30), RenewFrom::expiry, std::nullopt, clock_.boot_now()}));
  }
  Result<std::optional<Refused>> release_there(std::string instance) {
    return run_task(other_.release({kLock, {"owner", std::move(instance)}, std::nullopt, clock_.boot_now()}));
  }
  Answer acquire_there(std::string instance) {
    return run_task(other_.acquire({kLock, {"owner", std::move(instance)}, seconds(30), clock_.boot_now()}));
  }

  LockService other_{{.key_prefix = "locks/", .max_retries = 0}, faults_, clock_, log_};
};

TEST_F(LocksOnAStoreOfMany, WhatWasWrittenHereIsRenewedAndReleasedWithoutALook) {
  FencingToken token = grant_of(acquire("one")).token;
  EXPECT_EQ(grant_of(renew("one")).token, token);
  LockGrant again = grant_of(renew("one"));
  EXPECT_EQ(again.token, token);
  EXPECT_EQ(again.ttl, seconds(90));
  EXPECT_EQ(release("one", token).value(), std::nullopt);
  EXPECT_EQ(faults_.reads(), 0);
  EXPECT_EQ(faults_.commits(), 4);
  EXPECT_EQ(stored(), std::nullopt);
}

TEST_F(LocksOnAStoreOfMany, WhatAnotherServerRenewedIsDecidedOnWhatItWrote) {
  FencingToken token = grant_of(acquire_there("one")).token;
  grant_of(renew("one"));
  EXPECT_EQ(grant_of(renew_there("one")).ttl, seconds(90)) << "and costs no retry, of which that server has none";
  grant_of(renew("one"));
  EXPECT_EQ(get()->token, token);
  EXPECT_EQ(release_there("one").value(), std::nullopt);
  EXPECT_EQ(stored(), std::nullopt);
}

TEST_F(LocksOnAStoreOfMany, WhoLostTheLockIsToldSo) {
  grant_of(acquire("one"));
  EXPECT_EQ(release_there("one").value(), std::nullopt);
  EXPECT_TRUE(is_refused(renew("one")));
  grant_of(acquire("one"));
  EXPECT_EQ(release_there("one").value(), std::nullopt);
  grant_of(acquire_there("two"));
  EXPECT_TRUE(release("one").value()) << "refused";
  EXPECT_TRUE(is_refused(renew("one")));
  EXPECT_EQ(get()->record.holder.instance, "two");
  clock_.advance(seconds(60));
  EXPECT_TRUE(is_refused(renew_there("two")));
  EXPECT_EQ(release_there("two").value(), std::nullopt);
}

TEST_F(LocksOnAStoreOfMany, ARefusalIsNeverFromMemory) {
  FencingToken token = grant_of(acquire("one")).token;
  EXPECT_TRUE(release("one", FencingToken{number_of(token) + 1}).value()) << "refused";
  EXPECT_EQ(faults_.reads(), 1);
  EXPECT_TRUE(is_refused(renew("two")));
  EXPECT_EQ(faults_.reads(), 2);
  EXPECT_TRUE(release("two").value()) << "refused";
  EXPECT_EQ(faults_.reads(), 3);
  EXPECT_EQ(faults_.commits(), 1);
}

// What this server knew of the lock is out of date: a changed record does not show that the lock was released.
TEST_F(LocksOnAStoreOfMany, AReleaseWithoutAnAnswerIsNotTakenForDoneWhileItIsHeld) {
  grant_of(acquire("one"));
  grant_of(renew_there("one"));
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_EQ(release("one").value(), std::nullopt);
  EXPECT_EQ(stored(), std::nullopt);
}

TEST_F(LocksOnAStoreOfMany, AnAnswerThatWasLostIsFoundOutAsAfterALook) {
  FencingToken token = grant_of(acquire("one", seconds(10))).token;
  faults_.next_commit(FaultStore::Fault::answer_lost);
  LockGrant renewed = grant_of(renew("one", seconds(20)));
  EXPECT_EQ(renewed.token, token);
  EXPECT_EQ(renewed.ttl, seconds(30)) << "extended once, not twice";
  faults_.next_commit(FaultStore::Fault::answer_lost);
  EXPECT_EQ(release("one").value(), std::nullopt);
  EXPECT_EQ(stored(), std::nullopt);
}

class ManyThreads : public LockServiceTest, public testing::WithParamInterface<bool> {};

INSTANTIATE_TEST_SUITE_P(Stores, ManyThreads, testing::Bool(),
                         [](const auto& store) { return store.param ? "OnAStoreOfMany" : "OnTheirOwnStore"; });

TEST_P(ManyThreads, NeverHoldOneLockTogether) {
  if (GetParam()) faults_.others_write();
  constexpr int kThreads = 4;
  constexpr int kRounds = 400;
  std::atomic<int> holders{0};
  std::atomic<int> grants{0};
  std::atomic<std::int64_t> last_token{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, name = "instance-" + std::to_string(thread)] {
      for (int round = 0; round < kRounds; ++round) {
        Answer answer = acquire(name);
        if (!answer || !std::holds_alternative<LockGrant>(*answer)) continue;
        EXPECT_EQ(++holders, 1);
        ++grants;
        std::int64_t token = number_of(std::get<LockGrant>(*answer).token);
        EXPECT_LT(last_token.exchange(token), token);
        --holders;
        EXPECT_TRUE(release(name));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(grants, 0);
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
}  // namespace sharedlock
