#include "store/etcd/lease/short_leases.h"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/io_threads.h"
#include "base/manual_clock.h"
#include "base/task_group.h"
#include "base/use_task.h"
#include "store/etcd/lease/lease_looks.h"
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

// The entries stand in a memory store, where each shared lease has one entry.
class EtcdShortLeasesTest : public testing::Test {
 protected:
  using Ends = EtcdShortLeases::Ends;

  Result<Outcome> commit(Transaction transaction) {
    return run_task(faults_.commit(std::move(transaction), Deadline::never()));
  }
  Committed committed(Transaction transaction) { return std::get<Committed>(commit(std::move(transaction)).value()); }
  std::optional<Entry> get(std::string key) {
    return run_task(store_->get(std::move(key), Deadline::never())).value().entry;
  }
  // An entry that a commit put under a lease that ends too early, with or without an entry there before.
  Transaction put(Revision stood) {
    return {.expect = {{"a", stood}, {"b", kAbsent}},
            .none_under = {},
            .changes = {Put{"a", "value", PooledLease{Ttl{5}}}, Erase{"b"}}};
  }
  Result<Outcome> move(const Transaction& transaction, const Committed& done) {
    Ends ends{clock_.boot_now() + seconds(60), std::nullopt};
    return run_task(short_.move(&transaction, &done, &ends, asked_, Deadline::never()));
  }

  ManualClock clock_;
  const BootTime asked_ = clock_.boot_now();
  Log log_{LogLevel::error, ::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  std::unique_ptr<LeaseStore> store_ = make_memory_store(clock_);
  FaultStore faults_{*store_};
  std::vector<BootTime> forgotten_;
  IoThreads threads_{1};
  EtcdShortLeases short_{
      [this](BootTime moment) { forgotten_.push_back(moment); },
      [this](Transaction what, Deadline deadline) { return faults_.commit(std::move(what), deadline); }, clock_, log_,
      threads_.executor(0)};
};

TEST_F(EtcdShortLeasesTest, SafetyR34_ANewEntryIsMovedAtOnce) {
  Transaction transaction = put(kAbsent);
  Committed done = committed(transaction);
  clock_.advance(std::chrono::milliseconds(10));
  auto moved = std::get<Committed>(move(transaction, done).value());
  auto entry = get("a").value();
  EXPECT_EQ(entry.value, "value");
  EXPECT_EQ(entry.created, done.revision);
  EXPECT_EQ(entry.revision, moved.revision);
  EXPECT_THAT(moved.leases, testing::ElementsAre(entry.lease, LeaseId{0}));
  EXPECT_THAT(forgotten_, testing::ElementsAre(asked_)) << "what neighbours were granted since then is shared on";
  clock_.advance(seconds(59));
  EXPECT_TRUE(get("a"));
  clock_.advance(seconds(2));
  EXPECT_FALSE(get("a"));
}

TEST_F(EtcdShortLeasesTest, SafetyR34_AnEntryThatHasChangedSinceIsLeftAlone) {
  Transaction transaction = put(kAbsent);
  Committed done = committed(transaction);
  commit({.expect = {}, .none_under = {}, .changes = {Put{"a", "another's", PooledLease{Ttl{5}}}}}).value();
  EXPECT_EQ(move(transaction, done).error().code, Errc::unanswered);
  EXPECT_EQ(get("a")->value, "another's");
}

TEST_F(EtcdShortLeasesTest, SafetyR34_AGrantThatCantBeMovedIsTakenBack) {
  Transaction transaction = put(kAbsent);
  Committed done = committed(transaction);
  for (int i = 0; i < 3; ++i) faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(outcome_unknown(move(transaction, done).error().code));
  EXPECT_TRUE(eventually([&] {
    clock_.advance(std::chrono::milliseconds(10));
    return !get("a");
  }));
  EXPECT_LT(clock_.boot_now(), BootTime(seconds(1005))) << "before its lease ended";
}

// A holder may rely on the previous entry for longer than its present lease lives.
TEST_F(EtcdShortLeasesTest, SafetyR34_AnEntryThatReplacedAnotherIsMovedLater) {
  Committed before = committed({.expect = {}, .none_under = {}, .changes = {Put{"a", "", PooledLease{Ttl{30}}}}});
  Transaction transaction = put(before.revision);
  Committed done = committed(transaction);
  for (int i = 0; i < 3; ++i) faults_.next_commit(FaultStore::Fault::request_lost);
  EXPECT_TRUE(outcome_unknown(move(transaction, done).error().code));
  EXPECT_TRUE(eventually([&] {
    clock_.advance(std::chrono::milliseconds(10));
    return get("a") && get("a")->revision != done.revision;
  }));
  clock_.advance(seconds(50));
  EXPECT_TRUE(get("a"));
}

// Two leases beside one batch; etcd answers about one of them when the test says so.
class EtcdLeaseLooksTest : public testing::Test {
 protected:
  Task<EtcdLeaseLook> ask(LeaseId id, Deadline) {
    ++asked_;
    auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor);
    while (id == kSlow && !slow_is_told_) {
      timer.expires_after(std::chrono::milliseconds(1));
      co_await timer.async_wait(use_task);
    }
    EtcdLeaseLook look{.id = id};
    if (id != kGone) look.life = LeaseLife{kEnd, kEnd + seconds(1)};
    look.term = term_;
    co_return look;
  }
  std::optional<BootTime> end_of(LeaseId id, std::uint64_t term) {
    std::vector<LeaseId> one(1, id);
    return run_task(looks_->ends(std::move(one), term, Deadline::never())).front();
  }

  static constexpr LeaseId kQuick{1};
  static constexpr LeaseId kSlow{2};
  static constexpr LeaseId kGone{3};
  static constexpr BootTime kEnd{seconds(5000)};

  ManualClock clock_;
  std::atomic<int> asked_ = 0;
  std::atomic<bool> slow_is_told_ = false;
  std::atomic<std::uint64_t> term_ = 7;
  IoThreads threads_{1};
  std::shared_ptr<EtcdLeaseLooks> looks_ = std::make_shared<EtcdLeaseLooks>(
      std::vector<LeaseId>{kQuick, kSlow, kQuick, kGone}, [this](LeaseId id, Deadline until) { return ask(id, until); },
      clock_);
  TaskGroup background_;
};

TEST_F(EtcdLeaseLooksTest, NoCallerWaitsForTheLookAtAnotherLease) {
  EtcdLeaseLooks::begin(looks_, threads_.executor(0), background_, Deadline::never());
  EXPECT_EQ(end_of(kQuick, 7), kEnd) << "the other one is not told of";
  slow_is_told_ = true;
  EXPECT_EQ(end_of(kSlow, 7), kEnd);
  EXPECT_EQ(end_of(kGone, 7), BootTime());
  EXPECT_EQ(asked_, 3) << "each once";
}

TEST_F(EtcdLeaseLooksTest, NoLeaseIsAskedForTwiceInEitherOrder) {
  slow_is_told_ = true;
  for (LeaseId id : {kSlow, kQuick}) EXPECT_EQ(end_of(id, 7), kEnd);
  EtcdLeaseLooks::begin(looks_, threads_.executor(0), background_, Deadline::never());
  background_.join();
  EXPECT_EQ(asked_, 3);
}

TEST_F(EtcdLeaseLooksTest, SafetyR34_AnAnswerThatDoesNotCountIsAskedForAgain) {
  slow_is_told_ = true;
  EtcdLeaseLooks::begin(looks_, threads_.executor(0), background_, Deadline::never());
  EXPECT_EQ(end_of(kQuick, 7), kEnd);
  term_ = 8;
  EXPECT_EQ(end_of(kQuick, 8), kEnd);
  EXPECT_EQ(end_of(kQuick, 9), std::nullopt);
}

TEST(EtcdLeaseLookTest, SafetyR34_CountsOnlyInTheTermOfWhatAQuorumAnswered) {
  EtcdLeaseLook look{.id = LeaseId{1}, .life = LeaseLife{}, .term = 7};
  EXPECT_TRUE(look.counts_in(7));
  EXPECT_FALSE(look.counts_in(6));
  EXPECT_FALSE(look.counts_in(8));
  look.term = 0;
  EXPECT_FALSE(look.counts_in(0)) << "its member changed terms meanwhile";
  look.term = 7;
  look.failed = Error{Errc::unavailable, "no answer"};
  EXPECT_FALSE(look.counts_in(7));
}

}  // namespace
}  // namespace sharedlock
