// Waiting inside one process: many threads, one lock, no wake-up lost.
#include "queue/wait_queues.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <memory>

#include "base/io_threads.h"
#include "base/sha256.h"
#include "lease/lease_service.h"
#include "lock/lock_service.h"
#include "store/memory/memory_store.h"
#include "support/background_call.h"
#include "support/fault_store.h"
#include "support/run_task.h"

namespace sharedlock {
namespace {

using std::chrono::seconds;
using test::BackgroundCall;
using test::run_task;

const LockName kLock{"space", "name"};

class WaitQueuesTest : public testing::Test {
 protected:
  AcquireRequest asking(const std::string& instance, seconds wait) {
    return {.lock = kLock,
            .holder = {"owner", instance},
            .duration = seconds(60),
            .received = clock.boot_now(),
            .wait = wait,
            .when_disconnected = nullptr};
  }

  GrantRequest lease(std::optional<LeaseId> id, seconds wait) {
    return {.key = "key",
            .value = "value",
            .ttl = seconds(60),
            .received = clock.boot_now(),
            .id = id,
            .wait = wait,
            .when_disconnected = nullptr};
  }
  bool somebody_waits(const std::string& queues) {
    auto entries = run_task(store->list(queues, "", 10, Deadline::never()));
    return entries && !entries->entries.empty();
  }
  void store_record(const std::string& instance) {
    Transaction transaction;
    std::string record = R"({"owner":"owner","leaseDuration":60,"expiry":9999999999,"instanceId":")" + instance + "\"}";
    transaction.changes.emplace_back(Put{"locks/space:name", record, PooledLease{seconds(60)}});
    ASSERT_TRUE(run_task(store->commit(std::move(transaction), Deadline::never())));
  }
  // The grant of a request that waits until another client releases the key.
  LeaseGrant wait_for_lease(std::optional<LeaseId> id) {
    auto held = run_task(leases.grant(lease({}, seconds(0))));
    GrantRequest request = lease(id, seconds(60));
    BackgroundCall<Result<LeaseService::Answer>> waiting(threads.executor(0), leases.grant(request));
    EXPECT_TRUE(test::eventually([this] { return somebody_waits("/shared-lock.queue/"); }));
    EXPECT_TRUE(run_task(leases.release(std::get<LeaseGrant>(*held).id, clock.boot_now())));
    auto answer = waiting.result();
    LeaseGrant grant = std::get<LeaseGrant>(*answer);
    EXPECT_TRUE(run_task(leases.release(grant.id, clock.boot_now())));
    return grant;
  }
  // The grant of a request that waits until `change` takes the lock from its holder.
  LockGrant wait_for_lock(const std::function<void()>& change, seconds keep_place = seconds(0)) {
    EXPECT_TRUE(run_task(locks.acquire(asking("other", seconds(0)))));
    AcquireRequest request = asking("waiter", seconds(60));
    request.keep_place = keep_place;
    BackgroundCall<Result<LockAnswer>> waiting(threads.executor(0), locks.acquire(request));
    EXPECT_TRUE(test::eventually([this] { return somebody_waits("locks/.queue/"); }));
    change();
    auto answer = waiting.result();
    return std::get<LockGrant>(*answer);
  }

  bool release_lock(const std::string& instance) {
    ReleaseRequest release{.lock = kLock, .holder = {"owner", instance}, .token = {}, .received = clock.boot_now()};
    return run_task(locks.release(std::move(release))).has_value();
  }

  SystemClock clock;
  Log log{LogLevel::error};
  std::unique_ptr<LeaseStore> store = make_memory_store(clock);
  IoThreads threads{4};
  LockService locks{{}, *store, clock, log};
  LeaseService leases{{}, *store, clock, log};
};

// The same for an entry and for a holder, by instance and owner; and short enough to need no allocation.
TEST(QueueIdentity, IsShortAndTellsApart) {
  auto waiting = [](const std::string& owner, const std::string& instance) {
    return identity_of(QueueEntry{.owner = owner, .instance = sha256_hex(instance), .server = "s", .names = {}});
  };
  EXPECT_EQ(waiting("owner", "instance"), identity_of("owner", "instance"));
  EXPECT_NE(waiting("owner", "instance"), waiting("owner", "another"));
  EXPECT_NE(waiting("owner", "instance"), waiting("another", "instance"));
  EXPECT_EQ(identity_of(QueueEntry{.owner = "owner", .instance = "", .server = "s", .names = {}}), "");
  EXPECT_EQ(waiting(std::string(200, 'o'), "instance").capacity(), Identity().capacity());
}

// A repeat renews the lease and leaves its revision: an undo could come after that, and end what was promised.
TEST_F(WaitQueuesTest, SafetyR03_ALeaseOfAChosenIdIsNotTakenBack) {
  EXPECT_TRUE(wait_for_lease({}).undoable);
  EXPECT_FALSE(wait_for_lease(LeaseId{std::int64_t{1} << 41}).undoable);
}

TEST_F(WaitQueuesTest, AWaiterIsToldWhyItsWaitEnds) {
  EXPECT_TRUE(run_task(locks.acquire(asking("other", seconds(0)))));
  AcquireRequest request = asking("waiter", seconds(60));
  BackgroundCall<Result<LockAnswer>> waiting(threads.executor(0), locks.acquire(request));
  EXPECT_TRUE(test::eventually([this] { return somebody_waits("locks/.queue/"); }));
  locks.drain(WaitEnd::store_lost);
  auto told = waiting.result();
  ASSERT_TRUE(told && std::holds_alternative<WaitEnd>(*told));
  EXPECT_EQ(std::get<WaitEnd>(*told), WaitEnd::store_lost);
  locks.drain(WaitEnd::draining);
  auto later = run_task(locks.acquire(asking("another", seconds(60))));
  ASSERT_TRUE(later && std::holds_alternative<WaitEnd>(*later));
  EXPECT_EQ(std::get<WaitEnd>(*later), WaitEnd::store_lost) << "as it was first";
}

// The key seems held, since it refused a request: so a look comes before the commit, and tells nothing of the queue.
TEST_F(WaitQueuesTest, AFreeKeyThatSeemedHeldIsNotGrantedPastItsQueue) {
  const std::string entry = "/shared-lock.queue/" + sha256_hex("key") + "/1";
  auto ask = [this] { return run_task(leases.grant(lease({}, seconds(0)))); };
  auto change = [this](Mutation what) {
    Transaction transaction;
    transaction.changes.push_back(std::move(what));
    ASSERT_TRUE(run_task(store->commit(std::move(transaction), Deadline::never())));
  };
  wait_for_lease({});  // a server asks for no queue before it has had a waiter
  auto held = ask();
  ASSERT_TRUE(held && std::holds_alternative<LeaseGrant>(*held));
  auto refused = ask();
  ASSERT_TRUE(refused && std::holds_alternative<LeaseRefused>(*refused));
  QueueEntry waiting{.owner = {}, .instance = {}, .server = "another", .names = {"key"}};
  change(Put{entry, to_json(waiting), SessionLease()});
  ASSERT_TRUE(run_task(leases.release(std::get<LeaseGrant>(*held).id, clock.boot_now())));

  refused = ask();
  ASSERT_TRUE(refused && std::holds_alternative<LeaseRefused>(*refused));
  EXPECT_EQ(std::get<LeaseRefused>(*refused).holder, std::nullopt);
  change(Erase{entry});
  auto granted = ask();
  EXPECT_TRUE(granted && std::holds_alternative<LeaseGrant>(*granted));
}

// Whenever the second request comes, it is granted; the first one is granted too, or gives way to it.
TEST_F(WaitQueuesTest, TwoRequestsOfOneIdAreBothGrantedOrOneIsSuperseded) {
  int both = 0;
  int superseded = 0;
  for (int i = 0; i < 500; ++i) {
    auto held = run_task(leases.grant(lease({}, seconds(0))));
    LeaseId id{(std::int64_t{1} << 41) + i};
    GrantRequest request = lease(id, seconds(60));
    BackgroundCall<Result<LeaseService::Answer>> first(threads.executor(0), leases.grant(request));
    ASSERT_TRUE(test::eventually([this] { return somebody_waits("/shared-lock.queue/"); }));
    BackgroundCall<Result<void>> releasing(threads.executor(1),
                                           leases.release(std::get<LeaseGrant>(*held).id, clock.boot_now()));
    BackgroundCall<Result<LeaseService::Answer>> second(threads.executor(2), leases.grant(request));
    auto granted = second.result();
    ASSERT_TRUE(granted) << granted.error().message;
    ASSERT_TRUE(std::holds_alternative<LeaseGrant>(*granted)) << granted->index();
    auto other = first.result();
    ASSERT_TRUE(other) << other.error().message;
    ASSERT_FALSE(std::holds_alternative<LeaseRefused>(*other));
    if (auto* end = std::get_if<WaitEnd>(&*other)) {
      ASSERT_EQ(*end, WaitEnd::superseded);
      ++superseded;
    } else {
      ASSERT_EQ(std::get<LeaseGrant>(*other).token, std::get<LeaseGrant>(*granted).token) << "one holding";
      ++both;
    }
    ASSERT_TRUE(releasing.result());
    ASSERT_TRUE(run_task(leases.release(id, clock.boot_now())));
    ASSERT_TRUE(test::eventually([this] { return !somebody_waits("/shared-lock.queue/"); }));
  }
  RecordProperty("both", both);
  RecordProperty("superseded", superseded);
}

// The second request comes when the first has seen its turn: it can't get that entry, and joins behind it.
TEST_F(WaitQueuesTest, SafetyR01_AWaiterWhoseIdIsGrantedToAnotherRequestIsItsRepeat) {
  test::FaultStore slow(*store);
  LeaseService service({}, slow, clock, log);
  auto entries = [this] { return run_task(store->list("/shared-lock.queue/", "", 10, Deadline::never()))->entries; };
  auto held = run_task(service.grant(lease({}, seconds(0))));
  GrantRequest request = lease(LeaseId{std::int64_t{1} << 41}, seconds(60));
  BackgroundCall<Result<LeaseService::Answer>> first(threads.executor(0), service.grant(request));
  ASSERT_TRUE(test::eventually([&] { return entries().size() == 1; }));
  std::optional<BackgroundCall<Result<LeaseService::Answer>>> second;
  slow.before_commit = [&] {
    slow.before_commit = [] {};
    second.emplace(threads.executor(2), service.grant(request));
    EXPECT_TRUE(test::eventually([&] { return entries().size() == 2; }));
  };
  EXPECT_TRUE(run_task(service.release(std::get<LeaseGrant>(*held).id, clock.boot_now())));
  auto older = std::get<LeaseGrant>(*first.result());
  auto newer = std::get<LeaseGrant>(*second->result());
  EXPECT_EQ(newer.id, older.id);
  EXPECT_EQ(newer.token, older.token) << "one holding";
  EXPECT_TRUE(test::eventually([&] { return entries().empty(); }));
}

// Also where the entry does not show that it is the waiter's own (R33).
TEST_F(WaitQueuesTest, SafetyR33_AWaiterWhoseIdIsGrantedElsewhereFindsThat) {
  test::FaultStore hiding(*store);
  hiding.others_write();
  hiding.hide_leases();
  LeaseService service({}, hiding, clock, log);
  auto held = run_task(service.grant(lease({}, seconds(0))));
  GrantRequest request = lease(LeaseId{std::int64_t{1} << 41}, seconds(60));
  BackgroundCall<Result<LeaseService::Answer>> waiting(threads.executor(0), service.grant(request));
  ASSERT_TRUE(test::eventually([this] { return somebody_waits("/shared-lock.queue/"); }));
  // In one change, so that the waiter's turn never comes.
  Transaction transaction;
  transaction.changes.emplace_back(
      Put{"/shared-lock/key", "value", OwnLease{.ttl = seconds(60), .id = request.id, .client_chosen = true}});
  auto granted = run_task(store->commit(std::move(transaction), Deadline::never()));
  ASSERT_TRUE(granted);
  auto found = waiting.result();
  ASSERT_TRUE(found && std::holds_alternative<LeaseGrant>(*found));
  EXPECT_EQ(std::get<LeaseGrant>(*found).id, *request.id);
  EXPECT_TRUE(test::eventually([this] { return !somebody_waits("/shared-lock.queue/"); })) << "its entry is left";
}

TEST_F(WaitQueuesTest, SafetyR03_AWaitersGrantIsTakenBackUnlessItHeldTheLockAlready) {
  LockGrant fresh = wait_for_lock([this] { EXPECT_TRUE(release_lock("other")); });
  EXPECT_TRUE(fresh.waited && !fresh.replaces);
  EXPECT_TRUE(release_lock("waiter"));
  EXPECT_TRUE(wait_for_lock([this] { store_record("waiter"); }).replaces) << "and so is not taken back";
}

// A client that is cut off at the moment of its grant may come back and find it.
TEST_F(WaitQueuesTest, SafetyR37_AGrantWaitsASecondForAClientThatMayComeBack) {
  LockGrant grant = wait_for_lock([this] { EXPECT_TRUE(release_lock("other")); }, seconds(10));
  auto is_held = [this] { return run_task(locks.get(kLock, clock.boot_now()))->has_value(); };
  BootTime begun = clock.boot_now();
  locks.take_back(threads.executor(0), grant);
  EXPECT_TRUE(test::eventually([&] { return !is_held(); }));
  EXPECT_GE(clock.boot_now() - begun, seconds(1));
}

// Whether an unanswered try may happen yet, as seen at the first turns of a waiter that ends none of them.
Task<std::vector<bool>> drop_turns(WaitQueues* queues, BootTime until) {
  auto executor = co_await asio::this_coro::executor;
  std::vector<std::string> names(1, "name");
  auto waiter = queues->enter(executor, std::move(names), "owner", "instance");
  std::vector<bool> may_take_yet;
  for (int i = 0; i < 2; ++i) {
    auto next = co_await queues->next(waiter, until);
    if (!next || !std::holds_alternative<WaitQueues::Turn>(*next)) break;
    may_take_yet.push_back(queues->may_take_yet(waiter));
  }
  co_return may_take_yet;
}

// Its commit may have been sent.
TEST_F(WaitQueuesTest, SafetyR26_ATurnThatIsDroppedEndsAsUnanswered) {
  WaitQueuesOptions options{
      .followed = {"locks/"},
      .part_of = [](const std::string& name) -> QueuePart { return {"locks/" + name, "locks/.queue/" + name + "/"}; },
      .see_lock = [](const Entry&) { return LockSight(); }};
  WaitQueues queues(std::move(options), *store, clock, log);
  BackgroundCall<std::vector<bool>> waiting(threads.executor(0), drop_turns(&queues, clock.boot_now() + seconds(60)));
  EXPECT_EQ(waiting.result(), (std::vector<bool>{false, true}));
}

struct Seen {
  std::atomic<int> inside = 0;
  std::atomic<int> most_inside = 0;
  std::atomic<int> granted = 0;
  std::atomic<std::int64_t> token = 0;
  std::atomic<int> tokens_fell = 0;
};

// Takes the lock and gives it back, `times` over.
Task<int> take_turns(LockService* locks, Clock* clock, std::string instance, int times, Seen* seen) {
  Holder holder{"owner", instance};
  for (int i = 0; i < times; ++i) {
    AcquireRequest request{.lock = kLock,
                           .holder = holder,
                           .duration = seconds(60),
                           .received = clock->boot_now(),
                           .wait = seconds(300),
                           .when_disconnected = nullptr};
    auto answer = co_await locks->acquire(std::move(request));
    auto* grant = answer ? std::get_if<LockGrant>(&*answer) : nullptr;
    if (!grant) co_return i;
    int inside = ++seen->inside;
    seen->most_inside = std::max(seen->most_inside.load(), inside);
    if (seen->token.exchange(number_of(grant->token)) >= number_of(grant->token)) ++seen->tokens_fell;
    ++seen->granted;
    --seen->inside;
    ReleaseRequest release{.lock = kLock, .holder = holder, .token = {}, .received = clock->boot_now()};
    auto released = co_await locks->release(std::move(release));
    if (!released || *released) co_return i;
  }
  co_return times;
}

// Every hand-over needs a wake-up: losing one would keep all waiters waiting.
TEST_F(WaitQueuesTest, SafetyR22_AHundredThousandHandOversLoseNoWakeUp) {
  constexpr int kWaiters = 8;
  constexpr int kTurns = 100'000 / kWaiters;
  Seen seen;
  std::vector<BackgroundCall<int>> calls;
  calls.reserve(kWaiters);
  for (int i = 0; i < kWaiters; ++i) {
    auto executor = threads.executor(static_cast<std::size_t>(i) % threads.size());
    calls.emplace_back(executor, take_turns(&locks, &clock, "instance-" + std::to_string(i), kTurns, &seen));
  }
  int granted = 0;
  while (seen.granted < kWaiters * kTurns) {
    granted = seen.granted;
    ASSERT_TRUE(test::eventually([&] { return seen.granted > granted; })) << "after " << granted;
  }
  for (auto& call : calls) EXPECT_EQ(call.result(), kTurns);
  EXPECT_EQ(seen.most_inside, 1);
  EXPECT_EQ(seen.tokens_fell, 0);
}

}  // namespace
}  // namespace sharedlock
