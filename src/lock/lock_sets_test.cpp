// Several locks at once: all or none, whatever fails, and no request waits for ever.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <thread>

#include "base/io_threads.h"
#include "base/manual_clock.h"
#include "lock/lock_service.h"
#include "lock/lock_set_service.h"
#include "store/memory/memory_store.h"
#include "support/background_call.h"
#include "support/eventually.h"
#include "support/fault_store.h"
#include "support/run_task.h"

namespace sharedlock {
namespace {

using std::chrono::seconds;
using test::BackgroundCall;
using test::eventually;
using test::FaultStore;
using test::run_task;
using testing::ElementsAre;
using Names = std::vector<std::string>;

class LockSets : public testing::Test {
 protected:
  LockSets() : store_(make_memory_store(clock_)), faults_(*store_), locks_({}, faults_, clock_, log_), sets_(locks_) {}

  AcquireRequest asking(const std::string& instance, seconds duration) {
    return {.lock = {}, .holder = {"owner", instance}, .duration = duration, .received = clock_.boot_now()};
  }
  Result<SetAnswer> acquire(const Names& names, const std::string& instance, seconds duration = seconds(30)) {
    return run_task(sets_.acquire_all({"space", names}, asking(instance, duration)));
  }
  Result<SetAnswer> renew(const Names& names, const std::string& instance, RenewFrom from = RenewFrom::now) {
    RenewRequest each{.lock = {},
                      .holder = {"owner", instance},
                      .duration = seconds(30),
                      .from = from,
                      .token = std::nullopt,
                      .received = clock_.boot_now()};
    return run_task(sets_.renew_all({"space", names}, each));
  }
  Result<std::optional<SetRefused>> release(const Names& names, const std::string& instance) {
    ReleaseRequest each{
        .lock = {}, .holder = {"owner", instance}, .token = std::nullopt, .received = clock_.boot_now()};
    return run_task(sets_.release_all({"space", names}, each));
  }
  std::optional<HeldLock> get(const std::string& name) {
    return run_task(locks_.get({"space", name}, clock_.boot_now())).value();
  }
  // The instance that holds it; empty: it is free.
  std::string holder(const std::string& name) {
    auto lock = get(name);
    return lock ? lock->record.holder.instance : "";
  }

  ManualClock clock_;
  Log log_{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<LeaseStore> store_;
  FaultStore faults_;
  LockService locks_;
  LockSetService sets_;
};

Names blockers(const Result<SetAnswer>& answer) {
  EXPECT_TRUE(answer && std::holds_alternative<SetRefused>(*answer));
  return std::get<SetRefused>(answer.value()).blocked_by;
}

SetGrant grants_of(const Result<SetAnswer>& answer) {
  EXPECT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer && std::holds_alternative<SetGrant>(*answer));
  return std::get<SetGrant>(answer.value());
}

bool is_unknown(const Result<SetAnswer>& answer) {
  return !answer && outcome_unknown(answer.error().code);
}

TEST_F(LockSets, AreTakenWhollyOrNotAtAll) {
  auto grants = grants_of(acquire({"one", "two", "three"}, "A"));
  ASSERT_EQ(grants.size(), 3u);
  for (const LockGrant& grant : grants) {
    EXPECT_EQ(grant.ttl, seconds(30));
    EXPECT_EQ(grant.token, get(grant.record.lock.name)->token);
  }
  EXPECT_EQ(grants[2].record.lock.name, "three");
  EXPECT_THAT(blockers(acquire({"free", "three", "one"}, "B")), ElementsAre("three", "one"));
  EXPECT_EQ(holder("free"), "");
}

// The try may reach the store late, when the other holder has released its lock.
TEST_F(LockSets, SafetyR06_ATryThatMayTakeThemLaterIsNotRefused) {
  LockService faster({}, *store_, clock_, log_);
  LockSetService faster_sets(faster);
  auto take_one = [&] {
    faults_.before_commit = [] {};
    grants_of(run_task(faster_sets.acquire_all({"space", {"one"}}, asking("other", seconds(30)))));
  };
  faults_.before_commit = take_one;
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(is_unknown(acquire({"one", "two"}, "A")));

  ASSERT_TRUE(release({"one"}, "other"));
  faults_.before_commit = take_one;
  faults_.next_commit(FaultStore::Fault::none);  // its look
  faults_.next_commit(FaultStore::Fault::request_over);
  EXPECT_THAT(blockers(acquire({"one", "two"}, "A")), ElementsAre("one")) << "it was lost for good";
}

TEST_F(LockSets, OnesOwnAreTakenAnewWithTheRest) {
  auto before = grants_of(acquire({"one", "two"}, "A"));
  auto after = grants_of(acquire({"two", "three"}, "A"));
  EXPECT_GT(after[0].token, before[1].token);
  EXPECT_TRUE(after[0].replaces);
  EXPECT_FALSE(after[1].replaces);
  EXPECT_EQ(get("one")->token, before[0].token);
}

TEST_F(LockSets, AreRenewedWhollyOrNotAtAll) {
  auto grants = grants_of(acquire({"one", "two"}, "A", seconds(10)));
  auto renewed = grants_of(renew({"two", "one"}, "A"));
  EXPECT_EQ(renewed[0].token, grants[0].token) << "a renewal keeps the token";
  EXPECT_EQ(renewed[0].ttl, seconds(30));
  auto expiry = get("one")->record.expiry;
  grants_of(acquire({"other"}, "B"));
  clock_.advance(seconds(3));
  EXPECT_THAT(blockers(renew({"one", "other", "free"}, "A")), ElementsAre("other", "free"));
  EXPECT_EQ(get("one")->record.expiry, expiry);
}

TEST_F(LockSets, AreReleasedWhollyOrNotAtAll) {
  grants_of(acquire({"one", "two"}, "A"));
  grants_of(acquire({"other"}, "B"));
  auto refused = release({"one", "other"}, "A");
  ASSERT_TRUE(refused && *refused);
  EXPECT_THAT((*refused)->blocked_by, ElementsAre("other"));
  EXPECT_EQ(holder("one"), "A");
  auto released = release({"two", "one", "free"}, "A");
  EXPECT_TRUE(released && !*released);
  EXPECT_EQ(holder("one") + holder("two"), "");
  EXPECT_EQ(holder("other"), "B");
}

TEST_F(LockSets, AnAnswerThatIsLostLeavesAllOrNothing) {
  using Fault = FaultStore::Fault;
  for (Fault fault : {Fault::answer_lost, Fault::request_lost}) {
    faults_.next_commit(fault);
    auto grants = grants_of(acquire({"one", "two"}, "A"));
    EXPECT_EQ(get("one")->token, grants[0].token) << "it answers with the token that counts";
    EXPECT_EQ(get("two")->token, grants[1].token);
    faults_.next_commit(Fault::none);  // the look
    faults_.next_commit(fault);
    EXPECT_EQ(grants_of(renew({"one", "two"}, "A"))[0].token, grants[0].token);
    faults_.next_commit(Fault::none);
    faults_.next_commit(fault);
    auto released = release({"one", "two"}, "A");
    ASSERT_TRUE(released && !*released);
    EXPECT_EQ(holder("one") + holder("two"), "");
  }
}

// The renewal happened, and it is not done a second time: that would add its duration twice.
TEST_F(LockSets, ARenewalWhoseAnswerIsLostIsDoneOnce) {
  grants_of(acquire({"one", "two"}, "A"));
  auto before = get("one")->record.expiry;
  faults_.next_commit(FaultStore::Fault::none);
  faults_.next_commit(FaultStore::Fault::answer_lost);
  grants_of(renew({"one", "two"}, "A", RenewFrom::expiry));
  EXPECT_EQ(get("one")->record.expiry, before + seconds(30));
}

TEST_F(LockSets, WhereNoLookTellsTheOutcomeIsUnknown) {
  faults_.next_commit(FaultStore::Fault::answer_lost);
  faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(is_unknown(acquire({"one", "two"}, "A")));
}

TEST_F(LockSets, WhatCantBeReadIsAnErrorAndStays) {
  Transaction transaction;
  transaction.changes.emplace_back(Put{"locks/space:two", "garbage", PooledLease{seconds(60)}});
  ASSERT_TRUE(run_task(store_->commit(std::move(transaction), Deadline::never())));
  auto answer = acquire({"one", "two"}, "A");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::corrupt);
  EXPECT_EQ(holder("one"), "");
}

TEST_F(LockSets, SafetyR07_WhatTookTooLongIsTakenBack) {
  grants_of(acquire({"one"}, "A"));
  int commits = 0;  // the first one loses its race: "one" is there
  faults_.after_commit = [&] { clock_.advance(seconds(++commits == 2 ? 16 : 0)); };
  EXPECT_TRUE(is_unknown(acquire({"one", "two"}, "A")));
  EXPECT_TRUE(eventually([this] { return holder("two").empty(); }));
  EXPECT_EQ(holder("one"), "A") << "its owner may still count on that";
}

TEST_F(LockSets, SafetyR25_WhoHoldsOneMayNotWaitForAnother) {
  grants_of(acquire({"one"}, "A"));
  grants_of(acquire({"two"}, "B"));
  AcquireRequest each = asking("A", seconds(30));
  each.wait = seconds(60);
  auto answer = run_task(sets_.acquire_all({"space", {"two", "one"}}, each));
  ASSERT_TRUE(answer && std::holds_alternative<HoldAndWait>(*answer));
  EXPECT_THAT(std::get<HoldAndWait>(*answer).held, ElementsAre("one"));
  EXPECT_TRUE(release({"two"}, "B"));
  EXPECT_EQ(grants_of(run_task(sets_.acquire_all({"space", {"two", "one"}}, each))).size(), 2u)
      << "what is to be had at once is no waiting";
}

// Against a model: the holder of every lock after each request, and each answer.
TEST_F(LockSets, DoWhatAModelDoes) {
  const std::array<std::string, 5> all{"v", "w", "x", "y", "z"};
  std::mt19937 random(11);
  auto draw = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
  std::map<std::string, std::string> model;
  std::map<std::string, std::int64_t> tokens;
  for (int step = 0; step < 3000; ++step) {
    std::string instance(1, "ABC"[draw(3)]);
    Names names(all.begin(), all.end());
    std::ranges::shuffle(names, random);
    names.resize(1 + draw(4));
    Names others;
    Names not_mine;
    for (const std::string& name : names) {
      bool free = model[name].empty();
      if (!free && model[name] != instance) others.push_back(name);
      if (free || model[name] != instance) not_mine.push_back(name);
    }
    unsigned what = draw(3);
    if (what == 0) {
      auto answer = acquire(names, instance, seconds(80000));
      if (others.empty()) {
        for (const LockGrant& grant : grants_of(answer)) {
          std::int64_t& token = tokens[grant.record.lock.name];
          EXPECT_GT(number_of(grant.token), token);
          token = number_of(grant.token);
          model[grant.record.lock.name] = instance;
        }
      } else {
        EXPECT_EQ(blockers(answer), others);
      }
    } else if (what == 1) {
      auto answer = renew(names, instance);
      if (not_mine.empty()) {
        for (const LockGrant& grant : grants_of(answer)) {
          EXPECT_EQ(number_of(grant.token), tokens[grant.record.lock.name]);
        }
      } else {
        EXPECT_EQ(blockers(answer), not_mine);
      }
    } else {
      auto answer = release(names, instance);
      ASSERT_TRUE(answer);
      EXPECT_EQ(*answer ? (*answer)->blocked_by : Names(), others);
      if (others.empty()) {
        for (const std::string& name : names) model[name].clear();
      }
    }
    for (const std::string& name : all) ASSERT_EQ(holder(name), model[name]) << name << " after " << step;
  }
}

constexpr std::size_t kLocks = 6;

// How many holders are inside each lock.
struct Insides {
  std::array<std::atomic<int>, kLocks> inside{};
  std::array<std::atomic<std::int64_t>, kLocks> token{};
  std::atomic<int> violations = 0;
  std::atomic<int> turns = 0;
};

// Takes random sets and gives them back, some one by one.
Task<int> take_sets(LockService* locks, LockSetService* sets, Clock* clock, unsigned seed, int times, Insides* seen) {
  std::mt19937 random(seed);
  for (int turn = 0; turn < times; ++turn) {
    std::vector<std::size_t> chosen{0, 1, 2, 3, 4, 5};
    std::ranges::shuffle(chosen, random);
    chosen.resize(1 + random() % 4);
    LockSet set{.namespace_name = "space", .names = {}};
    for (std::size_t i : chosen) set.names.push_back("lock-" + std::to_string(i));
    Holder holder{"owner", "instance-" + std::to_string(seed) + "-" + std::to_string(turn)};
    AcquireRequest each{.lock = {},
                        .holder = holder,
                        .duration = seconds(600),
                        .received = clock->boot_now(),
                        .wait = seconds(300),
                        .when_disconnected = nullptr};
    auto answer = co_await sets->acquire_all(set, std::move(each));
    auto* grants = answer ? std::get_if<SetGrant>(&*answer) : nullptr;
    if (!grants || grants->size() != chosen.size()) co_return turn;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      std::int64_t token = number_of((*grants)[i].token);
      if (++seen->inside[chosen[i]] != 1) ++seen->violations;
      if (seen->token[chosen[i]].exchange(token) >= token) ++seen->violations;
    }
    for (std::size_t i : chosen) --seen->inside[i];
    ReleaseRequest release{.lock = {}, .holder = holder, .token = {}, .received = clock->boot_now()};
    if (turn % 2 == 0) {
      auto released = co_await sets->release_all(set, release);
      if (!released || *released) co_return turn;
    }
    for (std::size_t i = 0; turn % 2 == 1 && i < set.names.size(); ++i) {
      release.lock = {"space", set.names[i]};
      auto released = co_await locks->release(release);
      if (!released || *released) co_return turn;
    }
    ++seen->turns;
  }
  co_return times;
}

TEST(LockSetsOnThreads, SafetyR25_OverlappingSetsNeverWaitForEachOther) {
  constexpr int kClients = 12;
  constexpr int kTurns = 500;
  SystemClock clock;
  Log log{LogLevel::error};
  auto store = make_memory_store(clock);
  IoThreads threads{4};
  LockService locks{{}, *store, clock, log};
  LockSetService sets{locks};
  Insides seen;
  std::vector<BackgroundCall<int>> calls;
  for (unsigned i = 0; i < kClients; ++i) {
    calls.emplace_back(threads.executor(i % threads.size()), take_sets(&locks, &sets, &clock, i, kTurns, &seen));
  }
  for (int turns = 0; turns < kClients * kTurns; turns = seen.turns) {
    ASSERT_TRUE(eventually([&] { return seen.turns > turns || seen.turns == kClients * kTurns; })) << "after " << turns;
  }
  for (auto& call : calls) EXPECT_EQ(call.result(), kTurns);
  EXPECT_EQ(seen.violations, 0);
  EXPECT_EQ(locks.waiters(), 0u);
}

}  // namespace
}  // namespace sharedlock
