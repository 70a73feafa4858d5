#include "store/watch_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/watch_hub_fixture_test.h"
#include "support/eventually.h"

namespace sharedlock::hub {
namespace {

using test::eventually;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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

}  // namespace
}  // namespace sharedlock::hub
