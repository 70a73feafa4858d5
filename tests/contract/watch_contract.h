#pragma once

#include <algorithm>
#include <atomic>
#include <list>
#include <memory>
#include <mutex>

#include "contract/store_fixture.h"

// watch(): what is told, in which order, from where on, and until when.
namespace sharedlock::test {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <class Backend>
class StoreWatch : public StoreContract<Backend> {
 protected:
  std::map<std::string, Entry> state() { return this->client.state_under(this->prefix); }

  static std::vector<std::string> keys_of(const ChangeBatch& batch) {
    std::vector<std::string> keys;
    for (const Change& change : batch.changes) keys.push_back(change.key);
    std::sort(keys.begin(), keys.end());
    return keys;
  }
};
TYPED_TEST_SUITE_P(StoreWatch);

TYPED_TEST_P(StoreWatch, FirstTellsASnapshot) {
  this->client.create(this->key("b"), "2");
  Committed last = this->client.create(this->key("a"), "1");

  WatchLog watch(this->client.store(), this->prefix);

  ASSERT_TRUE(watch.has_begun());
  Snapshot snapshot = watch.snapshots().front();
  EXPECT_GE(snapshot.as_of, last.revision);
  EXPECT_EQ(watch.state(), this->state());
  EXPECT_THAT(watch.state(), ::testing::SizeIs(2));
  EXPECT_THAT(watch.batches(), IsEmpty());
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, SnapshotOfNothingIsEmpty) {
  WatchLog watch(this->client.store(), this->prefix);

  ASSERT_TRUE(watch.has_begun());
  EXPECT_THAT(watch.snapshots().front().entries, IsEmpty());
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, TellsPutsAndErasesInOrder) {
  WatchLog watch(this->client.store(), this->prefix);
  ASSERT_TRUE(watch.has_begun());

  Committed created = this->client.create(this->key("a"), "first");
  auto first = this->client.get(this->key("a"));
  Committed changed = this->client.put(this->key("a"), "second");
  auto second = this->client.get(this->key("a"));
  Committed erased = this->client.erase(this->key("a"));

  ASSERT_TRUE(watch.has_batches(3));
  auto batches = watch.batches();
  EXPECT_EQ(batches[0].revision, created.revision);
  EXPECT_EQ(batches[0].changes.front().now, first);
  EXPECT_EQ(batches[1].revision, changed.revision);
  EXPECT_EQ(batches[1].changes.front().now, second);
  EXPECT_EQ(batches[2].revision, erased.revision);
  EXPECT_EQ(batches[2].changes.front().now, std::nullopt);
  EXPECT_EQ(batches[2].changes.front().previous, second);
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, TellsATransactionInOneBatch) {
  auto a = this->key("a"), b = this->key("b"), c = this->key("c");
  this->client.create(c, "erased with it");
  WatchLog watch(this->client.store(), this->prefix);
  ASSERT_TRUE(watch.has_begun());

  Committed committed = this->client.apply(
      {.expect = {}, .none_under = {}, .changes = {Put{b, "", kLasting}, Erase{c}, Put{a, "", SessionLease{}}}});
  this->client.put(a, "afterwards");

  ASSERT_TRUE(watch.has_batches(2));
  EXPECT_EQ(watch.batches()[0].revision, committed.revision);
  EXPECT_THAT(this->keys_of(watch.batches()[0]), ElementsAre(a, b, c));
  EXPECT_THAT(this->keys_of(watch.batches()[1]), ElementsAre(a));
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, TellsOnlyWhatIsUnderThePrefix) {
  WatchLog watch(this->client.store(), this->key("in/"));
  ASSERT_TRUE(watch.has_begun());

  this->client.create(this->key("in"), "");
  this->client.create(this->key("in0"), "");
  Committed both =
      this->client.apply({.expect = {},
                          .none_under = {},
                          .changes = {Put{this->key("out/1"), "", kLasting}, Put{this->key("in/1"), "", kLasting}}});

  ASSERT_TRUE(watch.has_batches(1));
  EXPECT_EQ(watch.batches().front().revision, both.revision);
  EXPECT_THAT(this->keys_of(watch.batches().front()), ElementsAre(this->key("in/1")));
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, ATransactionWithoutEffectIsNotTold) {
  this->client.create(this->key("a"), "");
  WatchLog watch(this->client.store(), this->prefix);
  ASSERT_TRUE(watch.has_begun());

  this->client.lose(StoreClient::creation(this->key("a"), "loser"));
  this->client.erase(this->key("absent"));
  Committed marker = this->client.put(this->key("marker"), "");

  ASSERT_TRUE(watch.has_batches(1));
  EXPECT_EQ(watch.batches().front().revision, marker.revision);
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, TellsOfExpiry) {
  WatchLog watch(this->client.store(), this->prefix);
  ASSERT_TRUE(watch.has_begun());
  this->client.create(this->key("own"), "", OwnLease{.ttl = this->kTtl, .id = std::nullopt});
  this->client.create(this->key("pooled"), "", PooledLease{this->kTtl});
  this->client.create(this->key("stays"), "");
  ASSERT_TRUE(watch.reaches(this->state()));

  this->backend.pass(this->kTtl + this->kSlack);

  EXPECT_TRUE(eventually([&] { return watch.state().size() == 1; }));
  EXPECT_EQ(watch.state(), this->state());
  EXPECT_THAT(watch.snapshots(), ::testing::SizeIs(1));
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, TellsOfRevocation) {
  LeaseId id = this->client.create(this->key("a"), "held", OwnLease{.ttl = Ttl{600}, .id = std::nullopt}).lease;
  auto held = this->client.get(this->key("a"));
  WatchLog watch(this->client.store(), this->prefix);
  ASSERT_TRUE(watch.has_begun());

  ASSERT_TRUE(this->client.revoke(id, this->prefix));

  ASSERT_TRUE(watch.has_batches(1));
  EXPECT_GT(watch.batches().front().revision, held.value().revision);
  EXPECT_EQ(watch.batches().front().changes.front().previous, held);
  EXPECT_THAT(watch.state(), IsEmpty());
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, ResumesAfterARevisionWithoutGapOrRepetition) {
  WatchLog first(this->client.store(), this->prefix);
  ASSERT_TRUE(first.has_begun());
  this->client.create(this->key("a"), "seen");
  Committed seen = this->client.create(this->key("b"), "seen");
  auto state = this->state();
  ASSERT_TRUE(first.reaches(state));
  first.stop();
  Committed missed = this->client.put(this->key("a"), "missed");
  this->client.erase(this->key("b"));

  WatchLog resumed(this->client.store(), this->prefix, seen.revision, state);
  Committed later = this->client.create(this->key("c"), "later");

  ASSERT_TRUE(resumed.has_batches(3));
  EXPECT_EQ(resumed.batches().front().revision, missed.revision);
  EXPECT_EQ(resumed.batches().back().revision, later.revision);
  EXPECT_TRUE(resumed.reaches(this->state()));
  EXPECT_THAT(resumed.snapshots(), IsEmpty());
  EXPECT_THAT(resumed.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, ResumingWhereNothingWasMissedTellsOnlyWhatFollows) {
  WatchLog first(this->client.store(), this->prefix);
  ASSERT_TRUE(first.has_begun());
  Committed last = this->client.create(this->key("a"), "");
  ASSERT_TRUE(first.reaches(this->state()));

  WatchLog resumed(this->client.store(), this->prefix, last.revision, this->state());
  Committed next = this->client.put(this->key("a"), "next");

  ASSERT_TRUE(resumed.has_batches(1));
  EXPECT_EQ(resumed.batches().front().revision, next.revision);
  EXPECT_THAT(resumed.snapshots(), IsEmpty());
  EXPECT_THAT(resumed.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, AfterTheOldestRevisionStillReachesTheState) {
  this->client.create(this->key("a"), "");
  this->client.create(this->key("b"), "");
  this->client.erase(this->key("a"));

  // With a Snapshot if history does not reach back that far, otherwise with all that ever happened under the prefix.
  WatchLog watch(this->client.store(), this->prefix, Revision{1});

  EXPECT_TRUE(watch.reaches(this->state()));
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, AfterARevisionThatNeverWasTellsASnapshot) {
  Committed last = this->client.create(this->key("a"), "");
  Revision future{number_of(last.revision) + 1'000'000'000};

  WatchLog watch(this->client.store(), this->prefix, future);
  ASSERT_TRUE(watch.has_begun());
  this->client.create(this->key("b"), "");

  EXPECT_TRUE(watch.reaches(this->state()));
  EXPECT_GE(watch.snapshots().front().as_of, last.revision);
  EXPECT_LT(watch.snapshots().front().as_of, future);
  EXPECT_THAT(watch.faults(), IsEmpty());
}

TYPED_TEST_P(StoreWatch, EveryWatcherIsToldOfItsOwnPrefix) {
  std::list<WatchLog> watches;
  for (int i = 0; i < 20; ++i) watches.emplace_back(this->client.store(), this->key(std::to_string(i % 10) + "/"));

  for (int i = 0; i < 30; ++i) this->client.put(this->key(std::to_string(i % 10) + "/a"), std::to_string(i));

  int number = 0;
  for (const WatchLog& watch : watches) {
    EXPECT_TRUE(watch.reaches(this->client.state_under(this->key(std::to_string(number++ % 10) + "/"))));
    EXPECT_THAT(watch.state(), ::testing::SizeIs(1));
    EXPECT_THAT(watch.faults(), IsEmpty());
  }
}

REGISTER_TYPED_TEST_SUITE_P(StoreWatch, FirstTellsASnapshot, SnapshotOfNothingIsEmpty, TellsPutsAndErasesInOrder,
                            TellsATransactionInOneBatch, TellsOnlyWhatIsUnderThePrefix,
                            ATransactionWithoutEffectIsNotTold, TellsOfExpiry, TellsOfRevocation,
                            ResumesAfterARevisionWithoutGapOrRepetition,
                            ResumingWhereNothingWasMissedTellsOnlyWhatFollows,
                            AfterTheOldestRevisionStillReachesTheState, AfterARevisionThatNeverWasTellsASnapshot,
                            EveryWatcherIsToldOfItsOwnPrefix);

// The end of a watch.
template <class Backend>
class StoreSubscription : public StoreContract<Backend> {};
TYPED_TEST_SUITE_P(StoreSubscription);

TYPED_TEST_P(StoreSubscription, NothingIsToldAfterItsEnd) {
  WatchLog ended(this->client.store(), this->prefix), running(this->client.store(), this->prefix);
  this->client.create(this->key("a"), "");
  ASSERT_TRUE(ended.reaches(this->client.state_under(this->prefix)));

  ended.stop();
  this->client.create(this->key("b"), "");

  ASSERT_TRUE(running.reaches(this->client.state_under(this->prefix)));
  EXPECT_THAT(ended.state(), ::testing::SizeIs(1));
}

TYPED_TEST_P(StoreSubscription, EndsAtOnceAfterItBegan) {
  std::atomic<int> told_late = 0;
  for (int i = 0; i < 100; ++i) {
    auto ended = std::make_shared<std::atomic<bool>>(false);
    auto handler = [ended, &told_late](const WatchEvent&) { told_late += *ended ? 1 : 0; };
    Subscription subscription = this->client.store().watch(this->prefix, std::nullopt, handler);
    if (i % 10 == 0) this->client.put(this->key("a"), "");
    subscription = Subscription();
    *ended = true;
  }
  WatchLog last(this->client.store(), this->prefix);
  ASSERT_TRUE(last.has_begun());
  EXPECT_EQ(told_late, 0);
}

TYPED_TEST_P(StoreSubscription, MayEndInsideItsHandler) {
  std::mutex mutex;
  Subscription subscription;
  std::atomic<int> told = 0;
  {
    std::scoped_lock lock(mutex);
    subscription = this->client.store().watch(this->prefix, std::nullopt, [&](const WatchEvent& event) {
      if (std::holds_alternative<Liveness>(event)) return;
      std::scoped_lock assigned(mutex);
      ++told;
      subscription = Subscription();
    });
  }
  ASSERT_TRUE(eventually([&] {
    std::scoped_lock handler_is_done(mutex);
    return told == 1;
  }));
  WatchLog other(this->client.store(), this->prefix);

  this->client.put(this->key("a"), "");

  ASSERT_TRUE(other.reaches(this->client.state_under(this->prefix)));
  EXPECT_EQ(told, 1);
}

TYPED_TEST_P(StoreSubscription, HandlerIsReleasedWithIt) {
  auto held = std::make_shared<int>(0);
  std::weak_ptr<int> released = held;
  std::atomic<bool> begun = false;
  Subscription subscription = this->client.store().watch(
      this->prefix, std::nullopt, [&begun, held = std::move(held)](const WatchEvent&) { begun = true; });
  ASSERT_TRUE(eventually([&] { return begun.load(); }));

  subscription = Subscription();

  EXPECT_TRUE(released.expired());
}

REGISTER_TYPED_TEST_SUITE_P(StoreSubscription, NothingIsToldAfterItsEnd, EndsAtOnceAfterItBegan, MayEndInsideItsHandler,
                            HandlerIsReleasedWithIt);

}  // namespace sharedlock::test
