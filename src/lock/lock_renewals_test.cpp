// Renewals by servers with wrong wall clocks, or that know only from the store how long a lock lives: R35.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>

#include "base/io_threads.h"
#include "base/manual_clock.h"
#include "lock/lock_service.h"
#include "lock/lock_set_service.h"
#include "store/memory/memory_store.h"
#include "support/fault_store.h"
#include "support/run_task.h"
#include "support/skewed_clock.h"

namespace sharedlock {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using test::FaultStore;
using test::run_task;
using test::SkewedClock;
using testing::AllOf;
using testing::Ge;
using testing::Le;
using Answer = Result<LockAnswer>;

constexpr milliseconds kMoment{1};

LockGrant grant_of(const Answer& answer) {
  EXPECT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer && std::holds_alternative<LockGrant>(*answer)) << "refused";
  return answer && std::holds_alternative<LockGrant>(*answer) ? std::get<LockGrant>(*answer) : LockGrant{};
}

bool is_refused(const Answer& answer) {
  return answer && std::holds_alternative<Refused>(*answer);
}

// Two servers on one store; the second one's wall clock is off by the parameter.
class LockRenewals : public testing::TestWithParam<nanoseconds> {
 protected:
  explicit LockRenewals(nanoseconds skew) : wrong_clock_(clock_, skew) { faults_.others_write(); }
  LockRenewals() : LockRenewals(GetParam()) {}

  Answer acquire(LockService& server, const std::string& instance, seconds duration) {
    return run_task(server.acquire({kLock, {"owner", instance}, duration, clock_.boot_now()}));
  }
  Answer renew(LockService& server, const std::string& instance, seconds duration, RenewFrom from = RenewFrom::now) {
    return run_task(server.renew({kLock, {"owner", instance}, duration, from, std::nullopt, clock_.boot_now()}));
  }
  std::optional<HeldLock> get() { return run_task(right_.get(kLock, clock_.boot_now())).value(); }

  // It is held until just before that moment, and free soon after it.
  void expect_it_to_end_at(BootTime end, seconds at_most_later = seconds(1)) {
    clock_.advance(end - kMoment - clock_.boot_now());
    EXPECT_TRUE(is_refused(acquire(right_, "other", seconds(30)))) << "it ended early";
    EXPECT_TRUE(is_refused(acquire(wrong_, "other", seconds(30)))) << "it ended early";
    clock_.advance(at_most_later + kMoment);
    grant_of(acquire(wrong_, "other", seconds(30)));
  }

  const LockName kLock{"space", "name"};
  ManualClock clock_;
  SkewedClock wrong_clock_;
  Log log_{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<LeaseStore> store_ = make_memory_store(clock_);
  FaultStore faults_{*store_};
  LockService right_{{}, faults_, clock_, log_};
  LockService wrong_{{}, faults_, wrong_clock_, log_};
  LockSetService right_sets_{right_};
  LockSetService wrong_sets_{wrong_};
};

TEST_P(LockRenewals, SafetyR35_AClockThatIsSteppedNeitherEndsNorLengthensALock) {
  LockGrant first = grant_of(acquire(right_, "one", seconds(9)));
  clock_.advance(seconds(3));
  clock_.set_wall(clock_.wall_now() + GetParam());
  for (int i = 0; i < 3; ++i) {
    LockGrant renewed = grant_of(renew(right_, "one", seconds(9)));
    EXPECT_EQ(renewed.ttl, seconds(9));
    EXPECT_EQ(renewed.token, first.token);
    clock_.advance(seconds(3));
  }
  expect_it_to_end_at(clock_.boot_now() + seconds(6));
}

TEST_P(LockRenewals, SafetyR35_ServersWithDifferentClocksRenewForAsLongAsTheyAreAsked) {
  grant_of(acquire(right_, "one", seconds(10)));
  EpochSeconds expiry = get()->record.expiry;
  for (int i = 0; i < 20; ++i) {
    clock_.advance(milliseconds(2300));
    LockGrant renewed = grant_of(renew(i % 2 == 0 ? wrong_ : right_, "one", seconds(10)));
    EXPECT_EQ(renewed.ttl, seconds(10)) << i;
    EXPECT_GE(renewed.record.expiry, expiry) << i;
    expiry = renewed.record.expiry;
  }
  expect_it_to_end_at(clock_.boot_now() + seconds(10));
}

TEST_P(LockRenewals, SafetyR06_ALateShorterDuplicateShortensNothing) {
  grant_of(acquire(right_, "one", seconds(10)));
  clock_.advance(seconds(1));
  EXPECT_EQ(grant_of(renew(right_, "one", seconds(300))).ttl, seconds(300));
  BootTime end = clock_.boot_now() + seconds(300);
  clock_.advance(seconds(10));
  EXPECT_EQ(grant_of(renew(wrong_, "one", seconds(10))).ttl, seconds(290));
  EXPECT_EQ(grant_of(renew(right_, "one", seconds(10))).ttl, seconds(290));
  expect_it_to_end_at(end);
}

TEST_P(LockRenewals, SafetyR35_ASetIsRenewedByTheLeasesToo) {
  LockSet set{"space", {"name", "second"}};
  AcquireRequest each{.lock = {}, .holder = {"owner", "one"}, .duration = seconds(10), .received = clock_.boot_now()};
  ASSERT_TRUE(std::holds_alternative<SetGrant>(run_task(right_sets_.acquire_all(set, each)).value()));
  clock_.advance(seconds(4));
  for (LockSetService* server : {&wrong_sets_, &right_sets_}) {
    RenewRequest renewal{.lock = {},
                         .holder = {"owner", "one"},
                         .duration = seconds(10),
                         .from = RenewFrom::now,
                         .token = std::nullopt,
                         .received = clock_.boot_now()};
    auto renewed = run_task(server->renew_all(set, renewal)).value();
    ASSERT_TRUE(std::holds_alternative<SetGrant>(renewed)) << "refused";
    for (const LockGrant& grant : std::get<SetGrant>(renewed)) EXPECT_EQ(grant.ttl, seconds(10));
  }
  expect_it_to_end_at(clock_.boot_now() + seconds(10));
}

// As the Java service has it: past its `expiry` it can't be extended from there. Else the lease grows by the duration.
TEST_P(LockRenewals, SafetyR35_FromTheOldExpiryTheLeaseGrowsByTheDurationAlone) {
  grant_of(acquire(right_, "one", seconds(10)));
  BootTime end = clock_.boot_now() + seconds(10);
  clock_.advance(seconds(1));
  bool past = GetParam() > seconds(9);
  for (int i = 1; i <= 10; ++i) {
    auto renewed = renew(wrong_, "one", seconds(10), RenewFrom::expiry);
    ASSERT_EQ(is_refused(renewed), past);
    if (past) break;
    end += seconds(10);
    EXPECT_EQ(grant_of(renewed).ttl, std::chrono::floor<seconds>(end - clock_.boot_now()));
  }
  expect_it_to_end_at(end);
}

INSTANTIATE_TEST_SUITE_P(Skews, LockRenewals,
                         testing::Values(hours(-1), seconds(-12), seconds(0), milliseconds(700), seconds(12),
                                         hours(1)));

class LockRenewalsInTime : public LockRenewals {
 protected:
  LockRenewalsInTime() : LockRenewals(nanoseconds(0)) {}
};

TEST_F(LockRenewalsInTime, SafetyR35_WhereTheLeaseCantBeAskedForTheOutcomeIsUnknown) {
  grant_of(acquire(right_, "one", seconds(10)));
  faults_.fail_looks_at_leases(true);
  EXPECT_EQ(renew(wrong_, "one", seconds(10)).error().code, Errc::unavailable);
  EXPECT_EQ(faults_.commits(), 1) << "nothing was written";
  EXPECT_EQ(grant_of(renew(right_, "one", seconds(10))).ttl, seconds(10)) << "that server knows it";
  faults_.fail_looks_at_leases(false);
  grant_of(renew(wrong_, "one", seconds(10)));
}

TEST_F(LockRenewalsInTime, SafetyR35_WhatThisServerWroteLastCostsNoLook) {
  grant_of(acquire(right_, "one", seconds(10)));
  for (int i = 0; i < 3; ++i) grant_of(renew(right_, "one", seconds(10)));
  EXPECT_EQ(faults_.looks_at_leases(), 0);
  grant_of(renew(wrong_, "one", seconds(10)));
  EXPECT_EQ(faults_.looks_at_leases(), 1);
}

// The lease that was seen ends because a renewal by another server moved the lock to a later one: it is not lost.
TEST_F(LockRenewalsInTime, SafetyR35_ALeaseThatIsGoneDoesNotMeanThatTheLockIs) {
  FencingToken token = grant_of(acquire(right_, "one", seconds(10))).token;
  faults_.before_look_at_lease = [this] {
    faults_.before_look_at_lease = [] {};
    grant_of(renew(right_, "one", seconds(20)));
  };
  EXPECT_EQ(grant_of(renew(wrong_, "one", seconds(30))).token, token);
  expect_it_to_end_at(clock_.boot_now() + seconds(30));
}

TEST_F(LockRenewalsInTime, SafetyR35_ALockThatEndsWhileItsLeaseIsLookedForIsLost) {
  grant_of(acquire(right_, "one", seconds(10)));
  faults_.before_look_at_lease = [this] { clock_.advance(seconds(11)); };
  EXPECT_TRUE(is_refused(renew(wrong_, "one", seconds(30))));
}

// Two renewals of one second write the same bytes. When the commit of the second one is lost, it must not take the
// first one's record for its own: that lease ends earlier.
TEST_F(LockRenewalsInTime, SafetyR07_ARenewalIsNotTakenForDoneByAnotherOfTheSameSecond) {
  grant_of(acquire(right_, "one", seconds(10)));
  clock_.advance(milliseconds(1050));
  ASSERT_EQ(renew(wrong_, "one", seconds(30)).value().index(), 0u);
  auto first = get();
  clock_.advance(milliseconds(900));
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_EQ(grant_of(renew(right_, "one", seconds(30))).ttl, seconds(30));
  EXPECT_EQ(get()->record.expiry, first->record.expiry) << "the same bytes";
  expect_it_to_end_at(clock_.boot_now() + seconds(30));
}

// Whether it happened or not: the record is no proof, and doing it again does no more than doing it once.
TEST_F(LockRenewalsInTime, SafetyR07_ARenewalFromNowWhoseAnswerWasLostIsDoneAgain) {
  grant_of(acquire(right_, "one", seconds(10)));
  clock_.advance(seconds(3));
  for (auto fault : {FaultStore::Fault::answer_lost, FaultStore::Fault::request_lost}) {
    int before = faults_.commits();
    faults_.next_commit(fault);
    EXPECT_EQ(grant_of(renew(right_, "one", seconds(10))).ttl, seconds(10));
    EXPECT_EQ(faults_.commits(), before + 2);
  }
  expect_it_to_end_at(clock_.boot_now() + seconds(10));
}

// The answer to a renewal from the old expiry is lost, and afterwards something else stands there. Whether that
// includes the renewal can't be told, and doing it again could add its duration twice.
class LostRenewals : public LockRenewalsInTime {
 protected:
  LostRenewals() {
    grant_of(acquire(right_, "one", seconds(10)));
    clock_.advance(seconds(1));
    expiry_ = get()->record.expiry;
  }

  // Puts what stands there under another lease.
  void move_to_lease_of(Ttl ttl) {
    const std::string key = "locks/space:name";
    auto entry = run_task(store_->get(key, Deadline::never())).value().entry.value();
    Transaction transaction;
    transaction.expect.push_back({key, entry.revision});
    transaction.changes.emplace_back(Put{key, entry.value, PooledLease{ttl}});
    ASSERT_TRUE(std::holds_alternative<Committed>(run_task(store_->commit(transaction, Deadline::never())).value()));
  }
  void once(std::function<void()>& hook, const std::function<void()>& what) {
    hook = [&hook, what] {
      hook = [] {};
      what();
    };
  }
  void expect_unknown(const Answer& answer) { EXPECT_TRUE(!answer && outcome_unknown(answer.error().code)); }
  // Renews from the old expiry, by 20 s; the answer is lost, and then `afterwards` happens.
  void renew_as_set(const std::function<void()>& afterwards) {
    RenewRequest each{{}, {"owner", "one"}, seconds(20), RenewFrom::expiry, std::nullopt, clock_.boot_now()};
    once(faults_.after_commit, [&] { once(faults_.after_commit, afterwards); });  // the first one is a look
    faults_.next_commit(FaultStore::Fault::none);
    faults_.next_commit(FaultStore::Fault::answer_lost);
    EXPECT_FALSE(run_task(right_sets_.renew_all({"space", {"name"}}, each)));
  }
  seconds added() { return get()->record.expiry - expiry_; }

  EpochSeconds expiry_;
};

TEST_F(LostRenewals, SafetyR35_OneThatIsThereButWhoseLeaseEndsEarlierIsNotAddedAgain) {
  once(faults_.after_commit, [this] { move_to_lease_of(Ttl(15)); });
  faults_.next_commit(FaultStore::Fault::answer_lost);
  expect_unknown(renew(right_, "one", seconds(20), RenewFrom::expiry));
  EXPECT_EQ(added(), seconds(20));
}

TEST_F(LostRenewals, SafetyR35_OneThatAnotherFollowedIsNotAddedAgain) {
  once(faults_.after_commit, [this] { grant_of(renew(wrong_, "one", seconds(100))); });
  faults_.next_commit(FaultStore::Fault::answer_lost);
  expect_unknown(renew(right_, "one", seconds(20), RenewFrom::expiry));
  EXPECT_EQ(added(), seconds(91));
}

TEST_F(LostRenewals, SafetyR35_OneThatHappensBeforeTheNextTryIsNotAddedAgain) {
  int commits = 0;
  faults_.before_commit = [&] {
    if (++commits == 2) grant_of(renew(wrong_, "one", seconds(20), RenewFrom::expiry));
  };
  faults_.next_commit(FaultStore::Fault::request_lost);
  expect_unknown(renew(right_, "one", seconds(20), RenewFrom::expiry));
  EXPECT_EQ(added(), seconds(20));
}

TEST_F(LostRenewals, SafetyR35_OneThatDidNotHappenIsDone) {
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_EQ(grant_of(renew(right_, "one", seconds(20), RenewFrom::expiry)).ttl, seconds(29));
  EXPECT_EQ(added(), seconds(20));
}

TEST_F(LostRenewals, SafetyR35_ASetIsNotAddedAgain) {
  renew_as_set([this] { move_to_lease_of(Ttl(15)); });
  EXPECT_EQ(added(), seconds(20));
}

TEST_F(LostRenewals, SafetyR35_ASetThatAnotherFollowedIsNotAddedAgain) {
  renew_as_set([this] { grant_of(renew(wrong_, "one", seconds(100))); });
  EXPECT_EQ(added(), seconds(91));
}

// Heartbeats of less than a second: a program that goes by `expiry` alone never finds the lock past it.
TEST_F(LockRenewalsInTime, SafetyR35_ExpiryKeepsUpWithHeartbeatsShorterThanASecond) {
  grant_of(acquire(right_, "one", seconds(2)));
  for (int i = 0; i < 30; ++i) {
    clock_.advance(milliseconds(300));
    LockGrant renewed = grant_of(renew(right_, "one", seconds(2)));
    auto left = renewed.record.expiry - std::chrono::floor<seconds>(clock_.wall_now());
    EXPECT_THAT(left.count(), AllOf(Ge(2), Le(2))) << i;
  }
}

}  // namespace
}  // namespace sharedlock
