#pragma once

#include <atomic>
#include <barrier>
#include <list>
#include <memory>
#include <random>
#include <set>
#include <thread>

#include "contract/store_fixture.h"

// Many threads at once: no change is lost, no key has two winners, a watch sees one history.
namespace sharedlock::test {

template <class Backend>
class StoreConcurrency : public StoreContract<Backend> {
 protected:
  static constexpr int kThreads = 4;

  // Runs `work(0)` … `work(kThreads - 1)`, each on a thread of its own, to their ends.
  template <class Work>
  static void on_all_threads(Work work) {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) threads.emplace_back(work, thread);
  }

  // Puts and erases on a few keys, some of them two at a time.
  void change_at_random(unsigned seed, int changes) {
    std::mt19937 random(seed);
    for (int i = 0; i < changes; ++i) {
      auto a = this->key("k" + std::to_string(random() % 5)), b = this->key("m" + std::to_string(random() % 5));
      auto value = std::to_string(seed) + "." + std::to_string(i);
      switch (random() % 4) {
        case 0:
          this->client.erase(a);
          break;
        case 1:
          this->client.put(a, value, OwnLease{.ttl = Ttl{600}, .id = std::nullopt});
          break;
        case 2:
          this->client.commit(StoreClient::creation(b, value)).value();
          break;
        case 3:
          this->client.apply({.expect = {}, .none_under = {}, .changes = {Put{a, value, kLasting}, Erase{b}}});
          break;
      }
    }
  }
};
TYPED_TEST_SUITE_P(StoreConcurrency);

TYPED_TEST_P(StoreConcurrency, ExactlyOneCreationWinsEachRound) {
  constexpr int kRounds = 50;
  std::vector<std::atomic<int>> winners(kRounds);
  std::vector<std::atomic<bool>> losers_saw_winner(kRounds);
  for (auto& saw : losers_saw_winner) saw = true;
  std::barrier round_begins(this->kThreads);

  this->on_all_threads([&](int thread) {
    for (std::size_t round = 0; round < kRounds; ++round) {
      round_begins.arrive_and_wait();
      auto key = this->key(std::to_string(round));
      auto outcome = this->client.commit(StoreClient::creation(key, std::to_string(thread))).value();
      if (std::holds_alternative<Committed>(outcome)) {
        ++winners[round];
      } else if (!std::get<Conflict>(outcome).current.at(0)) {
        losers_saw_winner[round] = false;
      }
    }
  });

  for (std::size_t round = 0; round < kRounds; ++round) {
    EXPECT_EQ(winners[round], 1) << "round " << round;
    EXPECT_TRUE(losers_saw_winner[round]) << "round " << round;
  }
}

TYPED_TEST_P(StoreConcurrency, CounterLosesNoIncrement) {
  constexpr int kIncrements = 50;
  auto key = this->key("counter");
  this->client.create(key, "0");

  this->on_all_threads([&](int) {
    auto seen = this->client.get(key);
    for (int done = 0; done < kIncrements;) {
      auto next = std::to_string(std::stoi(seen.value().value) + 1);
      auto outcome =
          this->client
              .commit({.expect = {{key, seen->revision}}, .none_under = {}, .changes = {Put{key, next, kLasting}}})
              .value();
      bool lost = std::holds_alternative<Conflict>(outcome);
      seen = lost ? std::get<Conflict>(outcome).current.at(0) : this->client.get(key);
      if (!lost) ++done;
    }
  });

  EXPECT_EQ(this->client.get(key).value().value, std::to_string(this->kThreads * kIncrements));
}

TYPED_TEST_P(StoreConcurrency, EveryIncrementHasARevisionOfItsOwn) {
  constexpr std::size_t kIncrements = 50;
  auto key = this->key("a");
  std::mutex mutex;
  std::set<Revision> revisions;

  this->on_all_threads([&](int) {
    Revision last{};
    for (std::size_t i = 0; i < kIncrements; ++i) {
      Revision revision = this->client.put(key, "").revision;
      EXPECT_GT(revision, last);
      last = revision;
      std::scoped_lock lock(mutex);
      revisions.insert(revision);
    }
  });

  EXPECT_EQ(revisions.size(), kIncrements * static_cast<std::size_t>(this->kThreads));
}

TYPED_TEST_P(StoreConcurrency, OneLeaseIdIsGrantedOnce) {
  LeaseId id = this->some_lease_id();
  std::atomic<int> winners = 0, refused = 0;
  std::barrier all_begin(this->kThreads);

  this->on_all_threads([&](int thread) {
    all_begin.arrive_and_wait();
    auto outcome = this->client.commit(
        StoreClient::creation(this->key(std::to_string(thread)), "", OwnLease{.ttl = Ttl{600}, .id = id}));
    if (outcome) ++winners;
    if (error_of(outcome) == Errc::lease_in_use) ++refused;
  });

  EXPECT_EQ(winners, 1);
  EXPECT_EQ(refused, this->kThreads - 1);
  EXPECT_EQ(this->client.keys_under(this->prefix), this->client.keys_of(id));
}

TYPED_TEST_P(StoreConcurrency, WatchSeesOneHistoryThatEndsInTheState) {
  WatchLog early(this->client.store(), this->prefix), narrow(this->client.store(), this->key("k1"));
  ASSERT_TRUE(early.has_begun());
  ASSERT_TRUE(narrow.has_begun());

  this->on_all_threads([&](int thread) { this->change_at_random(static_cast<unsigned>(thread), 100); });

  EXPECT_TRUE(early.reaches(this->client.state_under(this->prefix)));
  EXPECT_TRUE(narrow.reaches(this->client.state_under(this->key("k1"))));
  EXPECT_THAT(early.snapshots(), ::testing::SizeIs(1));
  EXPECT_THAT(early.faults(), ::testing::IsEmpty());
  EXPECT_THAT(narrow.faults(), ::testing::IsEmpty());
}

TYPED_TEST_P(StoreConcurrency, WatchesThatBeginMeanwhileReachTheState) {
  std::list<WatchLog> watches;
  std::barrier all_begin(this->kThreads);

  this->on_all_threads([&](int thread) {
    all_begin.arrive_and_wait();
    if (thread > 0) return this->change_at_random(static_cast<unsigned>(thread), 100);
    for (int i = 0; i < 20; ++i) {
      watches.emplace_back(this->client.store(), this->prefix);
      if (i % 2 == 0) {
        EXPECT_TRUE(watches.back().has_begun());
      }
    }
  });

  auto state = this->client.state_under(this->prefix);
  for (const WatchLog& watch : watches) {
    EXPECT_TRUE(watch.reaches(state));
    EXPECT_THAT(watch.faults(), ::testing::IsEmpty());
  }
}

TYPED_TEST_P(StoreConcurrency, WatchesResumeMeanwhileWithoutGap) {
  auto watch = std::make_unique<WatchLog>(this->client.store(), this->prefix);
  std::atomic<bool> resumed_often = false;

  this->on_all_threads([&](int thread) {
    for (auto seed = static_cast<unsigned>(thread); thread > 0 && !resumed_often; ++seed) {
      this->change_at_random(seed, 10);
    }
    for (int i = 0; thread == 0 && i < 20; ++i) {
      EXPECT_TRUE(watch->has_batches(1));
      watch->stop();
      EXPECT_THAT(watch->faults(), ::testing::IsEmpty());
      watch = std::make_unique<WatchLog>(this->client.store(), this->prefix, watch->revision(), watch->state());
    }
    resumed_often = resumed_often || thread == 0;
  });

  EXPECT_TRUE(watch->reaches(this->client.state_under(this->prefix)));
  EXPECT_THAT(watch->faults(), ::testing::IsEmpty());
}

REGISTER_TYPED_TEST_SUITE_P(StoreConcurrency, ExactlyOneCreationWinsEachRound, CounterLosesNoIncrement,
                            EveryIncrementHasARevisionOfItsOwn, OneLeaseIdIsGrantedOnce,
                            WatchSeesOneHistoryThatEndsInTheState, WatchesThatBeginMeanwhileReachTheState,
                            WatchesResumeMeanwhileWithoutGap);

}  // namespace sharedlock::test
