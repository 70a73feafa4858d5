// Waiting while the store is away: what is told when the time is up, and entries that are lost and joined again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/io_threads.h"
#include "base/sha256.h"
#include "lease/lease_service.h"
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

class LostEntries : public testing::Test {
 protected:
  AcquireRequest asking(const std::string& instance, seconds wait) {
    return {.lock = {"space", "name"},
            .holder = {"owner", instance},
            .duration = seconds(60),
            .received = clock.boot_now(),
            .wait = wait,
            .when_disconnected = nullptr};
  }
  void hold(const std::string& instance) {
    auto held = run_task(locks.acquire(asking(instance, seconds(0))));
    ASSERT_TRUE(held && std::holds_alternative<LockGrant>(*held));
  }
  Result<LockAnswer> wait(const AcquireRequest& request) {
    return BackgroundCall<Result<LockAnswer>>(threads.executor(0), locks.acquire(request)).result();
  }
  std::vector<KeyedEntry> entries(const std::string& name = "name") {
    return run_task(store->list("locks/.queue/space:" + name + "/", "", 100, Deadline::never()))->entries;
  }
  bool is_held() { return run_task(store->get("locks/space:name", Deadline::never()))->entry.has_value(); }

  // As other programs do: they take the lock, or free it.
  void put_record(const std::string& instance) {
    Transaction transaction;
    std::string record = R"({"owner":"owner","leaseDuration":60,"expiry":9999999999,"instanceId":")" + instance + "\"}";
    transaction.changes.emplace_back(Put{"locks/space:name", std::move(record), PooledLease{seconds(60)}});
    ASSERT_TRUE(run_task(store->commit(std::move(transaction), Deadline::never())));
  }
  void erase(const std::vector<std::string>& keys) {
    Transaction transaction;
    for (const std::string& key : keys) transaction.changes.emplace_back(Erase{key});
    ASSERT_TRUE(run_task(store->commit(std::move(transaction), Deadline::never())));
  }
  // Every commit that begins after that time fails, until the end of the test.
  void be_away_from(BootTime time) {
    faults.before_commit = [this, time] {
      if (clock.boot_now() >= time) faults.next_commit(FaultStore::Fault::request_lost);
    };
  }

  SystemClock clock;
  Log log{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<LeaseStore> store = make_memory_store(clock);
  FaultStore faults{*store};
  IoThreads threads{2};
  LockService locks{{}, faults, clock, log};
  LockSetService sets{locks};
};

bool is_unknown(const Result<LockAnswer>& answer) {
  return !answer && outcome_unknown(answer.error().code);
}

TEST_F(LostEntries, TheAnswerAtTheEndOfTheTimeIsWhatStandsThen) {
  hold("other");
  auto answer = wait(asking("waiter", seconds(1)));
  ASSERT_TRUE(answer && std::holds_alternative<Refused>(*answer));
  EXPECT_EQ(std::get<Refused>(*answer).holder->owner, "owner");
}

TEST_F(LostEntries, SafetyR19_AWaiterIsNotRefusedIfItsTimeIsUpWhileTheStoreIsAway) {
  hold("other");
  AcquireRequest request = asking("waiter", seconds(1));
  be_away_from(request.received + request.wait);
  EXPECT_TRUE(is_unknown(wait(request)));
}

TEST_F(LostEntries, SafetyR19_NorIsAWaiterForSeveralLocks) {
  hold("other");
  AcquireRequest request = asking("waiter", seconds(1));
  be_away_from(request.received + request.wait);
  BackgroundCall<Result<SetAnswer>> waiting(threads.executor(0),
                                            sets.acquire_all({"space", {"name", "second"}}, request));
  auto answer = waiting.result();
  EXPECT_TRUE(!answer && outcome_unknown(answer.error().code));
}

// As when the answer to the waiter's own try was lost, and the watch tells nothing.
TEST_F(LostEntries, SafetyR19_AWaiterThatHoldsTheLockWhenItsTimeIsUpIsGrantedIt) {
  hold("other");
  AcquireRequest request = asking("waiter", seconds(1));
  faults.before_commit = [&, ends = request.received + request.wait] {
    if (clock.boot_now() < ends) return;
    faults.before_commit = [] {};
    put_record("waiter");
  };
  auto answer = wait(request);
  ASSERT_TRUE(answer && std::holds_alternative<LockGrant>(*answer));
  EXPECT_TRUE(eventually([this] { return entries().empty(); }));
}

// At this server or another, the commit that gave it the lock erased the entries. What it was told must not change.
TEST_F(LostEntries, SafetyR26_WhatANewerRequestOfTheHolderGotIsLeftToIt) {
  hold("other");
  AcquireRequest request = asking("waiter", seconds(1));
  faults.before_commit = [&, ends = request.received + request.wait] {
    if (clock.boot_now() < ends) return;
    faults.before_commit = [] {};
    Transaction transaction;
    transaction.changes.emplace_back(Erase{entries().front().first});
    ASSERT_TRUE(run_task(store->commit(std::move(transaction), Deadline::never())));
    put_record("waiter");
  };
  auto answer = wait(request);
  ASSERT_TRUE(answer && std::holds_alternative<WaitEnd>(*answer));
  EXPECT_EQ(std::get<WaitEnd>(*answer), WaitEnd::superseded);
  auto entry = run_task(store->get("locks/space:name", Deadline::never()))->entry;
  ASSERT_TRUE(entry);
  EXPECT_THAT(entry->value, testing::HasSubstr("9999999999")) << "as it was granted to the newer one";
}

// Another try was answered since; but as long as the entry stands, the first one may happen yet.
TEST_F(LostEntries, SafetyR06_AWaiterThatMayTakeTheLockLaterIsNotRefused) {
  put_record("other");
  std::atomic<int> tries = 0;
  faults.before_commit = [&] {
    if (is_held() || entries().empty()) return;
    if (++tries == 1) faults.next_commit(FaultStore::Fault::request_lost);
    put_record("other");
  };
  AcquireRequest request = asking("waiter", seconds(4));
  BackgroundCall<Result<LockAnswer>> waiting(threads.executor(0), locks.acquire(request));
  ASSERT_TRUE(eventually([this] { return entries().size() == 1; }));
  for (int tried = 1; tried <= 2; ++tried) {
    erase({"locks/space:name"});
    ASSERT_TRUE(eventually([&] { return tries == tried && is_held(); }));
  }
  EXPECT_TRUE(is_unknown(waiting.result()));
}

// The entry is put, but the answer is lost: it stays the waiter's.
TEST_F(LostEntries, SafetyR24_AnEntryThatWasPutWithoutAnAnswerIsFound) {
  hold("other");
  std::string lost;
  std::vector<KeyedEntry> put;
  std::atomic<bool> is_lost = false;
  std::atomic<int> commits = 0;
  faults.after_commit = [&] {
    if (!is_lost || entries().empty() || entries().front().first == lost) return;
    if (++commits == 1) put = entries();
  };
  AcquireRequest request = asking("waiter", seconds(60));
  BackgroundCall<Result<LockAnswer>> waiting(threads.executor(0), locks.acquire(request));
  ASSERT_TRUE(eventually([this] { return entries().size() == 1; }));
  faults.next_commit(FaultStore::Fault::answer_lost);
  lost = entries().front().first;
  is_lost = true;
  erase({lost});
  ASSERT_TRUE(eventually([&] { return commits >= 2; }));
  EXPECT_EQ(entries(), put);
  erase({"locks/space:name"});
  auto answer = waiting.result();
  EXPECT_TRUE(answer && std::holds_alternative<LockGrant>(*answer));
  EXPECT_TRUE(entries().empty());
}

// A try without an answer lost no race: the look that follows tells whether it happened.
TEST_F(LostEntries, AnAnswerThatWasLostCostsNoRetry) {
  LockService strict({.max_retries = 0}, faults, clock, log);
  LockSetService strict_sets(strict);
  for (auto fault : {FaultStore::Fault::answer_lost, FaultStore::Fault::request_lost}) {
    faults.next_commit(fault);
    auto alone = run_task(strict.acquire(asking("one", seconds(0))));
    EXPECT_TRUE(alone && std::holds_alternative<LockGrant>(*alone));
    faults.next_commit(FaultStore::Fault::none);  // a look, since one of them is held
    faults.next_commit(fault);
    auto together = run_task(strict_sets.acquire_all({"space", {"name", "second"}}, asking("one", seconds(0))));
    EXPECT_TRUE(together && std::holds_alternative<SetGrant>(*together));
  }
  int commits = faults.commits();
  for (int i = 0; i < 10; ++i) faults.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(is_unknown(run_task(strict.acquire(asking("one", seconds(0))))));
  EXPECT_EQ(faults.commits(), commits + 2) << "but the tries are counted";
}

// Sets so large that a commit joins only one: the second one is not tried before the first one has joined.
TEST_F(LostEntries, SafetyR24_SetsKeepTheirOrderWhereACommitFails) {
  LockSet set{"space", {}};
  for (int i = 0; i < 20; ++i) set.names.push_back("name" + std::to_string(i));
  auto ask = [&](const std::string& instance, seconds wait) { return sets.acquire_all(set, asking(instance, wait)); };
  ASSERT_TRUE(run_task(ask("other", seconds(0))));
  std::vector<BackgroundCall<Result<SetAnswer>>> waiting;
  for (std::size_t i = 0; i < 2; ++i) {
    waiting.emplace_back(threads.executor(0), ask("waiter" + std::to_string(i), seconds(60)));
    ASSERT_TRUE(eventually([&] { return entries("name0").size() == i + 1; }));
  }
  auto order = [&] {
    auto stand = entries("name19");
    std::ranges::sort(stand, {}, [](const KeyedEntry& entry) { return std::pair(entry.second.created, entry.first); });
    std::vector<std::string> instances;
    for (const auto& [key, entry] : stand) instances.push_back(parse_queue_entry(entry.value)->instance);
    return instances;
  };
  auto before = order();
  ASSERT_EQ(before.size(), 2u);
  std::vector<std::string> lost;
  for (const std::string& name : set.names) {
    for (const auto& [key, entry] : entries(name)) lost.push_back(key);
  }
  for (auto fault : {FaultStore::Fault::request_lost, FaultStore::Fault::refused_broken}) faults.next_commit(fault);
  int commits = faults.commits();
  erase(lost);
  ASSERT_TRUE(eventually([&] { return faults.commits() >= commits + 4 && order().size() == 2; }));
  EXPECT_EQ(order(), before);
  erase([&] {
    std::vector<std::string> held;
    for (const std::string& name : set.names) held.push_back("locks/space:" + name);
    return held;
  }());
  auto first = waiting[0].result();
  ASSERT_TRUE(first && std::holds_alternative<SetGrant>(*first));
  ASSERT_TRUE(run_task(
      sets.release_all(set, {.lock = {}, .holder = {"owner", "waiter0"}, .token = {}, .received = clock.boot_now()})));
  auto second = waiting[1].result();
  EXPECT_TRUE(second && std::holds_alternative<SetGrant>(*second));
}

class LeasesInQueue : public LostEntries {
 protected:
  GrantRequest asking_for_key(std::optional<LeaseId> id, seconds wait) {
    return {.key = "key",
            .value = "value",
            .ttl = Ttl{60},
            .received = clock.boot_now(),
            .id = id,
            .wait = wait,
            .when_disconnected = nullptr};
  }
  Result<LeaseService::Answer> wait(const GrantRequest& request) {
    return BackgroundCall<Result<LeaseService::Answer>>(threads.executor(0), leases.grant(request)).result();
  }
  // Does `act`, in the role of other programs, when the wait is over.
  void at_the_end_of(const GrantRequest& request, std::function<void()> act) {
    faults.before_look_at_key = [this, ends = request.received + request.wait, act = std::move(act)] {
      if (clock.boot_now() < ends) return;
      faults.before_look_at_key = [] {};
      act();
    };
  }
  void put_key(LeaseId id) {
    Transaction transaction;
    transaction.changes.emplace_back(Erase{"/shared-lock/key"});
    ASSERT_TRUE(run_task(store->commit(std::move(transaction), Deadline::never())));
    Transaction put;
    put.changes.emplace_back(Put{"/shared-lock/key", "value", OwnLease{Ttl{60}, id, true}});
    ASSERT_TRUE(run_task(store->commit(std::move(put), Deadline::never())));
  }

  LeaseService leases{{}, faults, clock, log};
};

TEST_F(LeasesInQueue, SafetyR19_TheAnswerAtTheEndOfTheTimeIsWhatStandsThen) {
  ASSERT_TRUE(wait(asking_for_key(std::nullopt, seconds(0))));
  auto answer = wait(asking_for_key(std::nullopt, seconds(1)));
  ASSERT_TRUE(answer && std::holds_alternative<LeaseRefused>(*answer));
  GrantRequest request = asking_for_key(std::nullopt, seconds(1));
  at_the_end_of(request, [this] { faults.fail_reads(true); });
  answer = wait(request);
  ASSERT_FALSE(answer) << "nothing is known while the store is away";
  EXPECT_TRUE(outcome_unknown(answer.error().code));
}

// An earlier try with the same id had no answer, or went to another server, and the queue was told nothing.
TEST_F(LeasesInQueue, SafetyR01_AWaiterWithTheKeyUnderItsOwnIdIsToldSoWhenItsTimeIsUp) {
  ASSERT_TRUE(wait(asking_for_key(std::nullopt, seconds(0))));
  GrantRequest request = asking_for_key(kSmallestChosenLeaseId, seconds(1));
  at_the_end_of(request, [this] { put_key(kSmallestChosenLeaseId); });
  auto answer = wait(request);
  ASSERT_TRUE(answer && std::holds_alternative<LeaseGrant>(*answer));
  EXPECT_EQ(std::get<LeaseGrant>(*answer).id, kSmallestChosenLeaseId);
}

// The key was renewed between the two looks of a reader, and so has another lease than the first look saw.
TEST_F(LeasesInQueue, SafetyR19_AKeyThatIsRenewedWhileItIsLookedAtIsNotFree) {
  put_key(LeaseId{5});
  faults.before_look_at_lease = [this] {
    faults.before_look_at_lease = [] {};
    put_key(LeaseId{6});
    (void)run_task(store->revoke(LeaseId{5}, "", Deadline::never()));  // it may have gone with its key
  };
  auto held = run_task(leases.get("key", clock.boot_now()));
  ASSERT_TRUE(held && *held);
  EXPECT_EQ((*held)->value, "value");
}

}  // namespace
}  // namespace sharedlock
