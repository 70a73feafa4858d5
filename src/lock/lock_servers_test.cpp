// Two servers on one store, and many threads that want one lock.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lock/lock_service_fixture_test.h"

namespace sharedlock::test {
namespace {

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

}  // namespace
}  // namespace sharedlock::test
