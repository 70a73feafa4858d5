#include "store/watch_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <map>

#include "contract/watch_log.h"

namespace sharedlock {
namespace {

using test::eventually;
using test::WatchLog;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The least store that can feed a hub: entries by key, one changed per revision.
class Source {
 public:
  explicit Source(WatchHistory history = {})
      : hub_(Revision{100}, [this](const std::string& prefix) { return snapshot(prefix); }, history) {}

  Revision put(const std::string& key, std::string value = "") {
    std::scoped_lock lock(mutex_);
    bool recording = hub_.recording();
    Revision created = entries_.contains(key) ? entries_[key].created : next();
    entries_[key] = {.value = std::move(value), .lease = LeaseId{1}, .created = created, .revision = next()};
    std::vector<Change> changes;
    if (recording) changes.push_back({.key = key, .now = entries_[key], .previous = std::nullopt});
    hub_.publish(revision_ = next(), std::move(changes));
    return revision_;
  }

  std::map<std::string, Entry> state() const {
    std::scoped_lock lock(mutex_);
    return entries_;
  }
  int snapshots_taken() const { return snapshots_taken_; }
  WatchHub& hub() { return hub_; }

 private:
  Revision next() const { return Revision{number_of(revision_) + 1}; }

  Snapshot snapshot(const std::string& prefix) {
    ++snapshots_taken_;
    std::scoped_lock lock(mutex_);
    Snapshot snapshot{.as_of = revision_, .entries = {}};
    for (const auto& entry : entries_) {
      if (entry.first.starts_with(prefix)) snapshot.entries.push_back(entry);
    }
    return snapshot;
  }

  mutable std::mutex mutex_;
  Revision revision_{100};
  std::map<std::string, Entry> entries_;
  std::atomic<int> snapshots_taken_ = 0;
  WatchHub hub_;
};

// A WatchLog on a hub.
struct Watch {
  Watch(WatchHub& hub, const std::string& prefix, std::optional<Revision> after = std::nullopt,
        std::map<std::string, Entry> state = {})
      : log(prefix, after, std::move(state)), subscription(hub.subscribe(prefix, after, log.handler())) {}

  WatchLog log;
  Subscription subscription;
};

// A watch with a handler that blocks in its first event until it is released.
struct SlowWatch {
  SlowWatch(WatchHub& hub, const std::string& prefix)
      : log(prefix), subscription(hub.subscribe(prefix, std::nullopt, [this](const WatchEvent& event) {
          if (!begun_before) {
            begun_before = true;
            begun.count_down();
            released.wait();
            finished = true;
          }
          log.handler()(event);
        })) {}

  WatchLog log;
  bool begun_before = false;  // used by the handler alone
  std::latch begun{1};
  std::latch released{1};
  std::atomic<bool> finished = false;
  Subscription subscription;
};

TEST(WatchHub, RecordsFromTheFirstWatcherOn) {
  Source source;
  EXPECT_FALSE(source.hub().recording());
  {
    Watch watch(source.hub(), "");
    EXPECT_TRUE(source.hub().recording());
  }
  EXPECT_TRUE(source.hub().recording());
}

TEST(WatchHub, WatcherThatJoinsDuringAnUnrecordedChangeIsSentASnapshot) {
  std::atomic<bool> changed = false;
  WatchHub hub(Revision{100}, [&](const std::string&) {
    Snapshot snapshot{.as_of = changed ? Revision{101} : Revision{100}, .entries = {}};
    if (changed) snapshot.entries.emplace_back("a", Entry{"", LeaseId{1}, Revision{101}, Revision{101}});
    return snapshot;
  });
  bool recording = hub.recording();  // a change begins, ...
  ASSERT_FALSE(recording);
  Watch fresh(hub, ""), resuming(hub, "", Revision{100});  // ... watchers join, ...
  ASSERT_TRUE(fresh.log.has_begun());

  changed = true;
  hub.publish(Revision{101}, {});  // ... and it ends, without having collected what it changed

  for (Watch* watch : {&fresh, &resuming}) {
    EXPECT_TRUE(eventually([&] { return watch->log.state().contains("a"); }));
    EXPECT_THAT(watch->log.faults(), IsEmpty());
  }
  EXPECT_THAT(resuming.log.snapshots(), SizeIs(1));
}

TEST(WatchHub, HistoryIsBoundedByTheNumberOfBatches) {
  Source source({.batches = 4, .bytes = 1 << 20});
  Watch first(source.hub(), "");
  Revision before = source.put("0");
  auto state = source.state();
  Revision still_there = source.put("1");
  auto state_still_there = source.state();
  for (const char* key : {"2", "3", "4", "5"}) source.put(key);

  Watch too_late(source.hub(), "", before, state), in_time(source.hub(), "", still_there, state_still_there);

  EXPECT_TRUE(too_late.log.reaches(source.state()));
  EXPECT_TRUE(in_time.log.reaches(source.state()));
  EXPECT_THAT(too_late.log.snapshots(), SizeIs(1));
  EXPECT_THAT(in_time.log.snapshots(), IsEmpty());
  EXPECT_THAT(in_time.log.batches(), SizeIs(4));
  EXPECT_THAT(in_time.log.faults(), IsEmpty());
}

TEST(WatchHub, HistoryIsBoundedByBytes) {
  Source source({.batches = 1000, .bytes = 100'000});
  Watch first(source.hub(), "");
  Revision before = source.put("0");
  auto state = source.state();
  Revision still_there{};
  std::map<std::string, Entry> state_still_there;
  for (int i = 0; i < 20; ++i) {
    still_there = source.put("a", std::string(10'000, 'x'));
    state_still_there = source.state();
  }
  for (int i = 0; i < 5; ++i) source.put("b", std::string(10'000, 'y'));

  Watch too_late(source.hub(), "", before, state), in_time(source.hub(), "", still_there, state_still_there);

  EXPECT_TRUE(too_late.log.reaches(source.state()));
  EXPECT_TRUE(in_time.log.reaches(source.state()));
  EXPECT_THAT(too_late.log.snapshots(), SizeIs(1));
  EXPECT_THAT(in_time.log.snapshots(), IsEmpty());
}

TEST(WatchHub, BatchLargerThanTheHistoryIsSeenInASnapshot) {
  Source source({.batches = 1000, .bytes = 10'000});
  Watch watch(source.hub(), "");
  source.put("small");
  ASSERT_TRUE(watch.log.reaches(source.state()));

  source.put("large", std::string(20'000, 'x'));
  ASSERT_TRUE(watch.log.reaches(source.state()));
  source.put("small again");

  EXPECT_TRUE(watch.log.reaches(source.state()));
  EXPECT_GE(watch.log.snapshots().size(), 2u);
  EXPECT_THAT(watch.log.faults(), IsEmpty());
}

TEST(WatchHub, SlowHandlerThatFallsBehindIsSentASnapshot) {
  Source source({.batches = 4, .bytes = 1 << 20});
  SlowWatch slow(source.hub(), "");
  slow.begun.wait();
  for (int i = 0; i < 10; ++i) source.put(std::to_string(i));

  slow.released.count_down();

  EXPECT_TRUE(slow.log.reaches(source.state()));
  EXPECT_THAT(slow.log.snapshots(), SizeIs(2));
  EXPECT_THAT(slow.log.batches(), IsEmpty());
  EXPECT_THAT(slow.log.faults(), IsEmpty());
}

TEST(WatchHub, SlowHandlerWithinTheHistoryMissesNothing) {
  Source source({.batches = 10, .bytes = 1 << 20});
  SlowWatch slow(source.hub(), "");
  slow.begun.wait();
  for (int i = 0; i < 10; ++i) source.put(std::to_string(i));

  slow.released.count_down();

  EXPECT_TRUE(slow.log.reaches(source.state()));
  EXPECT_THAT(slow.log.snapshots(), SizeIs(1));
  EXPECT_THAT(slow.log.batches(), SizeIs(10));
}

TEST(WatchHub, SnapshotAheadOfWhatWasPublishedIsNotRepeated) {
  WatchHub hub(Revision{100}, [](const std::string&) {
    Entry entry{"", LeaseId{1}, Revision{102}, Revision{102}};
    return Snapshot{.as_of = Revision{102}, .entries = {{"a", entry}}};
  });
  Watch watch(hub, "");
  ASSERT_TRUE(watch.log.has_begun());

  hub.publish(Revision{101},
              {{.key = "b", .now = Entry{"", LeaseId{1}, Revision{101}, Revision{101}}, .previous = {}}});
  hub.publish(Revision{102},
              {{.key = "a", .now = Entry{"", LeaseId{1}, Revision{102}, Revision{102}}, .previous = {}}});
  hub.publish(Revision{103},
              {{.key = "c", .now = Entry{"", LeaseId{1}, Revision{103}, Revision{103}}, .previous = {}}});

  ASSERT_TRUE(watch.log.has_batches(1));
  EXPECT_EQ(watch.log.batches().front().revision, Revision{103});
  EXPECT_THAT(watch.log.faults(), IsEmpty());
}

TEST(WatchHub, WatchersThatJoinDuringPublishesReachTheState) {
  Source source({.batches = 16, .bytes = 1 << 20});
  std::atomic<bool> joined = false;
  std::jthread publisher([&] {
    for (int i = 0; !joined || i < 100; ++i) source.put(std::to_string(i % 7), std::to_string(i));
  });
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 50; ++i) {
    watches.push_back(std::make_unique<Watch>(source.hub(), ""));
    if (i % 3 == 0) {
      EXPECT_TRUE(watches.back()->log.has_begun());
    }
    if (i % 5 == 4) watches.erase(watches.begin());
  }
  joined = true;
  publisher.join();

  for (const auto& watch : watches) {
    EXPECT_TRUE(watch->log.reaches(source.state()));
    EXPECT_THAT(watch->log.faults(), IsEmpty());
  }
}

TEST(WatchHub, AnEventWakesOnlyTheHandlersThatItConcerns) {
  Source source;
  Watch here(source.hub(), "here/"), there(source.hub(), "there/");
  ASSERT_TRUE(here.log.has_begun());
  source.put("there/a");

  ASSERT_TRUE(there.log.reaches(source.state()));
  EXPECT_THAT(here.log.batches(), IsEmpty());
  EXPECT_EQ(source.snapshots_taken(), 2);
}

TEST(WatchHub, EndOfASubscriptionWaitsForItsRunningHandler) {
  Source source;
  SlowWatch slow(source.hub(), "");
  slow.begun.wait();

  auto ended = std::async(std::launch::async, [&] {
    slow.subscription = Subscription();
    return slow.finished.load();
  });
  EXPECT_EQ(ended.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  slow.released.count_down();

  EXPECT_TRUE(ended.get());
}

TEST(WatchHub, EndOfASubscriptionDoesNotWaitForOtherHandlers) {
  Source source;
  SlowWatch slow(source.hub(), "");
  slow.begun.wait();

  {
    Watch other(source.hub(), "");
  }

  EXPECT_FALSE(slow.finished);
  slow.released.count_down();
}

TEST(WatchHub, HandlerMayEndAnotherSubscription) {
  Source source;
  std::atomic<bool> ended = false;
  auto victim = std::make_unique<Watch>(source.hub(), "");
  ASSERT_TRUE(victim->log.has_begun());
  Subscription killer = source.hub().subscribe("", std::nullopt, [&](const WatchEvent&) {
    victim.reset();
    ended = true;
  });

  ASSERT_TRUE(eventually([&] { return ended.load(); }));
  source.put("a");
  Watch after(source.hub(), "");
  EXPECT_TRUE(after.log.reaches(source.state()));
}

TEST(WatchHub, HandlerMayBeginAnotherSubscription) {
  Source source;
  std::unique_ptr<Watch> inner;
  std::atomic<bool> begun = false;
  {
    Subscription outer = source.hub().subscribe("", std::nullopt, [&](const WatchEvent&) {
      if (!inner) inner = std::make_unique<Watch>(source.hub(), "");
      begun = true;
    });
    ASSERT_TRUE(eventually([&] { return begun.load(); }));
  }
  source.put("a");

  EXPECT_TRUE(inner->log.reaches(source.state()));
}

// The handler holds another subscription; ending that one takes the hub's lock.
TEST(WatchHub, HandlerIsReleasedWhenItEndsItsOwnSubscription) {
  Source source;
  auto held = std::make_shared<Watch>(source.hub(), "");
  std::weak_ptr<Watch> released = held;
  std::mutex mutex;
  Subscription subscription;
  {
    std::scoped_lock lock(mutex);
    auto handler = [&, held = std::move(held)](const WatchEvent&) {
      std::scoped_lock assigned(mutex);
      subscription = Subscription();
      EXPECT_THAT(held->log.faults(), IsEmpty());  // still there while the handler runs
    };
    subscription = source.hub().subscribe("", std::nullopt, std::move(handler));
  }

  EXPECT_TRUE(eventually([&] { return released.expired(); }));
  std::scoped_lock handler_is_done(mutex);
}

TEST(WatchHub, HandlerIsReleasedWhenItsSubscriptionEndsWhileItRuns) {
  Source source;
  std::latch begun(1), may_end(1);
  auto held = std::make_shared<int>(0);
  std::weak_ptr<int> released = held;
  Subscription subscription =
      source.hub().subscribe("", std::nullopt, [&begun, &may_end, held = std::move(held)](const WatchEvent&) {
        begun.count_down();
        may_end.wait();
      });
  begun.wait();

  auto ended = std::async(std::launch::async, [&] {
    subscription = Subscription();
    return released.expired();
  });
  EXPECT_EQ(ended.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  may_end.count_down();

  EXPECT_TRUE(ended.get());
}

// What a handler holds may itself end a subscription when it goes, which takes the hub's lock.
TEST(WatchHub, HandlerMayHoldAnotherSubscription) {
  Source source;
  auto inner = std::make_shared<Watch>(source.hub(), "");
  std::weak_ptr<Watch> released = inner;
  std::atomic<int> told = 0;
  Subscription outer =
      source.hub().subscribe("", std::nullopt, [&told, inner = std::move(inner)](const WatchEvent&) { ++told; });
  ASSERT_TRUE(eventually([&] { return told == 1; }));

  outer = Subscription();
  source.put("a");

  EXPECT_TRUE(released.expired());
  Watch after(source.hub(), "");
  EXPECT_TRUE(after.log.reaches(source.state()));
}

TEST(WatchHub, EndsWhileTheLastHandlerEndsItsOwnSubscription) {
  for (int i = 0; i < 50; ++i) {
    std::promise<void> ended;
    std::mutex mutex;
    Subscription subscription;
    Source source;
    {
      std::scoped_lock lock(mutex);
      subscription = source.hub().subscribe("", std::nullopt, [&](const WatchEvent&) {
        std::scoped_lock assigned(mutex);
        subscription = Subscription();
        ended.set_value();
      });
    }
    EXPECT_EQ(ended.get_future().wait_for(std::chrono::seconds(15)), std::future_status::ready);
  }
}

}  // namespace
}  // namespace sharedlock
