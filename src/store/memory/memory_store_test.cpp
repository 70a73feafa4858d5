#include "store/memory/memory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "base/manual_clock.h"
#include "contract/store_contract.h"

namespace sharedlock::test {

class MemoryBackend {
 public:
  LeaseStore& store() { return *store_; }
  Clock& clock() { return clock_; }
  void pass(std::chrono::seconds span) { clock_.advance(span); }

 private:
  ManualClock clock_;
  std::unique_ptr<LeaseStore> store_ = make_memory_store(clock_);
};

SHAREDLOCK_INSTANTIATE_STORE_CONTRACT(Memory, MemoryBackend);

namespace {

using std::chrono::microseconds;

// A revision of a store that begins now.
std::int64_t first_revision(ManualClock& clock) {
  auto store = make_memory_store(clock);
  return number_of(StoreClient(*store).put("a", "").revision);
}

TEST(MemoryStore, SafetyR31_RevisionsBeginAtTheWallClocksMicroseconds) {
  ManualClock clock;
  auto now = std::chrono::floor<microseconds>(clock.wall_now().time_since_epoch()).count();

  EXPECT_EQ(first_revision(clock), now + 1);
}

TEST(MemoryStore, RevisionsAreExactInJsonForTwoCenturies) {
  ManualClock clock;
  clock.set_wall(std::chrono::sys_days(std::chrono::year(2225) / 1 / 1));

  EXPECT_LT(first_revision(clock), std::int64_t{1} << 53);
}

TEST(MemoryStore, SafetyR31_RevisionsGrowFromOneStartToTheNext) {
  ManualClock clock;
  std::int64_t last = 0;
  for (int start = 0; start < 3; ++start) {
    auto store = make_memory_store(clock);
    StoreClient client(*store);
    EXPECT_GT(number_of(client.now()), last);
    for (int i = 0; i < 1000; ++i) last = number_of(client.put("a", "").revision);
    clock.advance(std::chrono::milliseconds(10));
  }
}

TEST(MemoryStore, WatchAfterARevisionBeforeTheFirstWatchTellsASnapshot) {
  ManualClock clock;
  auto store = make_memory_store(clock);
  StoreClient client(*store);
  Committed first = client.put("a", "");
  Committed second = client.put("b", "");

  WatchLog watch(*store, "", first.revision);
  ASSERT_TRUE(watch.has_begun());

  EXPECT_EQ(watch.snapshots().front().as_of, second.revision);
  EXPECT_EQ(watch.state(), client.state_under(""));
}

TEST(MemoryStore, WatchAfterAForgottenRevisionTellsASnapshot) {
  ManualClock clock;
  auto store = make_memory_store(clock);
  StoreClient client(*store);
  WatchLog first(*store, "");
  ASSERT_TRUE(first.has_begun());
  Committed forgotten = client.put("a", "");
  for (int i = 0; i < 5000; ++i) client.put("b", "");

  WatchLog resumed(*store, "", forgotten.revision);

  EXPECT_TRUE(resumed.has_begun());
  EXPECT_TRUE(resumed.reaches(client.state_under("")));
  EXPECT_TRUE(first.reaches(client.state_under("")));
}

TEST(MemoryStore, ManyLeasesThatEndTogetherAllEnd) {
  ManualClock clock;
  auto store = make_memory_store(clock);
  StoreClient client(*store);
  WatchLog watch(*store, "");
  for (int i = 0; i < 1000; ++i) client.put(std::to_string(i), "", PooledLease{Ttl{5}});
  ASSERT_TRUE(watch.reaches(client.state_under("")));

  clock.advance(std::chrono::seconds(6));

  EXPECT_TRUE(watch.reaches({}));
  EXPECT_THAT(client.keys_under(""), ::testing::IsEmpty());
  EXPECT_THAT(watch.faults(), ::testing::IsEmpty());
}

TEST(MemoryStore, AShorterLeaseThanThoseBeforeEndsInTime) {
  ManualClock clock;
  auto store = make_memory_store(clock);
  StoreClient client(*store);
  WatchLog watch(*store, "");
  client.put("long", "", PooledLease{Ttl{9'000'000'000}});
  client.put("short", "", PooledLease{Ttl{1}});
  ASSERT_TRUE(watch.reaches(client.state_under("")));

  clock.advance(std::chrono::milliseconds(1250));

  EXPECT_TRUE(eventually([&] { return watch.state().size() == 1; }));
}

// A clock that stands still, on which a wait ends only when notified. Tells until when the last wait was to be.
class StoppedClock final : public Clock {
 public:
  BootTime boot_now() const override { return BootTime(std::chrono::seconds(1000)); }
  WallTime wall_now() const override { return WallTime(std::chrono::seconds(1000)); }
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake, BootTime until) override {
    waits_until_ = until;
    wake.wait(lock);
  }

  bool waits_for(std::chrono::seconds span) const { return waits_until_.load() == boot_now() + span; }

 private:
  std::atomic<BootTime> waits_until_ = BootTime{};
};

TEST(MemoryStore, WaitForTheNextExpiryFollowsAShorterLease) {
  StoppedClock clock;
  auto store = make_memory_store(clock);
  StoreClient client(*store);

  client.put("long", "", PooledLease{Ttl{600}});
  EXPECT_TRUE(eventually([&] { return clock.waits_for(Ttl{600}); }));
  client.put("short", "", PooledLease{Ttl{10}});
  EXPECT_TRUE(eventually([&] { return clock.waits_for(Ttl{10}); }));
}

// Nothing calls the store meanwhile: its own thread must end the lease and wake the watcher.
TEST(MemoryStore, TimingSensitiveExpiryIsToldInTime) {
  SystemClock clock;
  auto store = make_memory_store(clock);
  StoreClient client(*store);
  WatchLog watch(*store, "");
  client.put("long", "", PooledLease{Ttl{600}});
  auto begun = std::chrono::steady_clock::now();
  client.put("short", "", PooledLease{Ttl{1}});
  ASSERT_TRUE(eventually([&] { return watch.state().size() == 2; }, std::chrono::milliseconds(900)));

  ASSERT_TRUE(eventually([&] { return watch.state().size() == 1; }));

  auto lived = std::chrono::steady_clock::now() - begun;
  EXPECT_GE(lived, std::chrono::seconds(1));
  EXPECT_LE(lived, std::chrono::seconds(3));
}

}  // namespace
}  // namespace sharedlock::test
