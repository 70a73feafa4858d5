// Entries that are lost with a session and joined again (R24), and what is known of one queue when answers and events
// cross.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "queue/queue_scenes_test.h"
#include "queue/queue_state.h"

namespace sharedlock::scenes {
namespace {

// One queue at server A; each test tells it the events.
class OneQueue {
 public:
  OneQueue() : state("A", see_lock, see_entry) {}

  void load(bool is_held = true) {
    state.look_after(kPart);
    std::optional<Entry> lock;
    if (is_held) lock = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}};
    state.loaded("lock", {.entry = lock, .as_of = Revision{1}}, {});
  }
  void happens(const std::string& key, const std::string& value) {
    Revision now = next();
    Change change{.key = key, .now = std::nullopt, .previous = std::nullopt};
    if (!value.empty()) change.now = Entry{value, LeaseId{1}, now, now};
    ChangeBatch batch{.revision = now, .changes = {}};
    batch.changes.push_back(std::move(change));
    state.changed(batch);
    state.check_invariants();
  }
  // A waiter with its entry.
  QueueState::WaiterId stand(const std::string& who) {
    auto id = state.add({kPart}, who, QueueState::Back::here);
    join(id, who);
    return id;
  }
  void join(QueueState::WaiterId id, const std::string& who) {
    entries[id] = state.join_of(id).entries.front();
    state.joined(id, Revision{last + 1});
    happens(entries[id], who + "@A");
  }
  void join_together(const std::vector<std::pair<QueueState::WaiterId, std::string>>& all) {
    Revision now = next();
    ChangeBatch batch{.revision = now, .changes = {}};
    for (const auto& [id, who] : all) {
      std::string entry = state.join_of(id).entries.front();
      batch.changes.push_back({.key = entry, .now = Entry{who + "@A", LeaseId{1}, now, now}, .previous = {}});
      state.joined(id, now);
    }
    state.changed(batch);
  }
  bool is_told(QueueState::WaiterId id, QueueState::Step step) {
    auto effects = state.take_effects();
    return std::ranges::any_of(effects, [&](const auto& effect) {
      auto* wake = std::get_if<QueueState::Wake>(&effect);
      return wake && wake->waiter == id && wake->step == step;
    });
  }

  QueueState state;
  std::map<QueueState::WaiterId, std::string> entries;

 private:
  Revision next() { return Revision{++last}; }
  std::int64_t last = 1;
};

// A client that came back to its kept entry has a newer request than the waiters behind it.
TEST(QueueState, SafetyR24_LostEntriesAreJoinedAgainInTheirOrderNotThatOfRequests) {
  OneQueue queue;
  queue.load();
  auto first = queue.stand("first");
  auto second = queue.stand("second");
  std::string entry = queue.entries[first];
  queue.state.keep(first, kKept);
  auto back = queue.state.add({kPart}, "first", QueueState::Back::here);
  for (int sessions = 0; sessions < 2; ++sessions) {
    queue.happens(sessions == 0 ? entry : queue.state.entries_of(back).entries.front(), "");
    queue.happens(queue.state.entries_of(second).entries.front(), "");
    EXPECT_EQ(queue.state.take_lost(10), (std::vector<QueueState::WaiterId>{back, second})) << sessions;
    // The store does not answer at once.
    queue.state.not_joined(back);
    queue.state.not_joined(second);
    EXPECT_EQ(queue.state.take_lost(10), (std::vector<QueueState::WaiterId>{back, second})) << sessions;
    // Both by one commit: then their names order them.
    std::string front = queue.state.join_of(back).entries.front();
    std::string behind = queue.state.join_of(second).entries.front();
    EXPECT_LT(front, behind);
    queue.join_together({{back, "first"}, {second, "second"}});
  }
}

// The client's connection may have been cut without notice. R26: the newer request counts, and the older one must not
// join behind it, where it would seem the newer.
TEST(QueueState, SafetyR24_AWaiterWithANewerRequestElsewhereIsNotJoinedAgain) {
  for (bool joins : {false, true}) {
    OneQueue queue;
    queue.load();
    auto old = queue.stand("one");
    queue.happens(queue.entries[old], "");
    if (joins) {
      EXPECT_EQ(queue.state.take_lost(10).size(), 1u);
    }
    queue.happens("line/1-B", "one@B");
    EXPECT_TRUE(queue.state.take_lost(10).empty());
    EXPECT_TRUE(queue.is_told(old, QueueState::Step::superseded)) << joins;
    queue.state.left(old);
    EXPECT_EQ(queue.state.waiters(), 0u);
  }
}

// A try to join had no answer, and is carried out after the next one: its entry looks newer than that of its own
// waiter, which is the only one.
TEST(QueueState, SafetyR26_AnEntryThatWasPutLateByItsOwnServerSupersedesNoWaiter) {
  for (bool was_looked_for : {false, true}) {
    OneQueue queue;
    queue.load();
    auto id = queue.state.add({kPart}, "one", QueueState::Back::no);
    std::string unanswered = queue.state.join_of(id).entries.front();
    queue.state.not_joined(id, /*unanswered=*/true);
    queue.join(id, "one");
    ASSERT_NE(queue.entries[id], unanswered);
    if (was_looked_for) queue.state.removed(unanswered, Revision{1});
    queue.state.take_effects();
    queue.happens(unanswered, "one@A");
    auto effects = queue.state.take_effects();
    bool removes = effects.size() == 1 && std::holds_alternative<QueueState::Remove>(effects.front());
    EXPECT_EQ(removes, was_looked_for) << "else its removal is under way";
    EXPECT_EQ(effects.size(), was_looked_for ? 1u : 0u) << "so the waiter is told nothing";
  }
}

// Both entries are read at once, before the answer that says which of them was put first.
TEST(QueueState, SafetyR26_WhichEntryIsNewerIsSeenOnceItsOwnIsKnown) {
  for (std::int64_t elsewhere : {2, 4}) {
    OneQueue queue;
    queue.load();
    auto id = queue.state.add({kPart}, "one", QueueState::Back::no);
    std::string entry = queue.state.join_of(id).entries.front();
    queue.state.reset();
    Listing both{.entries = {}, .more = false, .as_of = Revision{5}};
    both.entries.emplace_back("line/000-B", Entry{"one@B", LeaseId{2}, Revision{elsewhere}, Revision{elsewhere}});
    both.entries.emplace_back(entry, Entry{"one@A", LeaseId{1}, Revision{3}, Revision{3}});
    queue.state.loaded("lock", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{5}},
                       both);
    queue.state.joined(id, Revision{3});
    EXPECT_EQ(queue.is_told(id, QueueState::Step::superseded), elsewhere == 4);
  }
}

// An unanswered commit may yet take the lock, and must not take it for a client that is away.
TEST(QueueState, SafetyR37_NoEntryIsKeptWhileATakeMayYetHappen) {
  for (bool waits_for_the_answer : {false, true}) {
    OneQueue queue;
    queue.load(/*is_held=*/false);
    queue.happens("lock", "other");
    auto first = queue.stand("one");
    queue.happens("lock", "");
    EXPECT_TRUE(queue.is_told(first, QueueState::Step::take));
    queue.happens("lock", "other");
    auto come_back = [&] { return queue.state.add({kPart}, "one", QueueState::Back::here); };
    auto back = waits_for_the_answer ? come_back() : first;
    queue.state.tried(first, QueueState::EntryFate::unknown);
    if (!waits_for_the_answer) back = come_back();
    queue.state.keep(back, kKept);
    EXPECT_EQ(queue.state.kept(), 0u) << waits_for_the_answer;
  }
}

// The request for one lock replaces the second one in that lock's queue alone. The second one still gets what the first
// has put, though it has to leave; else the newest one would wait for an answer that has come already.
TEST(QueueState, SafetyR37_ASetComesBackAfterARequestForOneOfItsLocks) {
  for (const QueuePart& one : {kPart, kOther}) {
    OneQueue queue;
    queue.load();
    auto ask = [&](std::vector<QueuePart> parts) {
      return queue.state.add(std::move(parts), "one", QueueState::Back::here);
    };
    auto first = ask({kPart, kOther});
    queue.state.loaded("other", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{1}},
                       {});
    EXPECT_TRUE(queue.is_told(first, QueueState::Step::join));
    auto entries = queue.state.join_of(first).entries;
    auto second = ask({kPart, kOther});
    ask({one});
    queue.state.joined(first, Revision{2});
    queue.state.left(first);
    auto newest = ask({kPart, kOther});
    EXPECT_TRUE(queue.is_told(newest, QueueState::Step::join)) << one.lock;
    queue.state.check_invariants();
    queue.state.left(second);
    std::vector<std::string> erased;
    for (const auto& effect : queue.state.take_effects()) {
      auto* remove = std::get_if<QueueState::Remove>(&effect);
      if (remove && remove->revision == Revision{2}) erased.push_back(remove->entry);
    }
    EXPECT_EQ(erased, entries) << one.lock;
    queue.state.check_invariants();
  }
}

// A queue without waiters may get one again while an old read of it is under way. Had it been forgotten in between, the
// events since that read would be missing.
TEST(QueueState, AQueueIsNotForgottenWhileItIsRead) {
  OneQueue queue;
  auto gone = queue.state.add({kPart}, "gone");
  queue.state.left(gone);
  queue.state.advance(BootTime() + std::chrono::seconds(100));
  EXPECT_EQ(queue.state.queues(), 1u);
  queue.happens("line/1-B", "other@B");
  queue.state.add({kPart}, "one");
  queue.load(/*is_held=*/false);
  EXPECT_TRUE(queue.state.is_occupied("lock"));

  OneQueue another;
  another.state.left(another.state.add({kPart}, "gone"));
  another.state.advance(BootTime() + std::chrono::seconds(100));
  another.load();
  another.state.advance(BootTime() + std::chrono::seconds(200));
  EXPECT_EQ(another.state.queues(), 0u);
}

// R37: each erasure of an entry is guarded by its revision, also where a set has lost some of its entries.
TEST(QueueState, SafetyR37_WhatIsLeftOfASetIsErasedAsItWasKnown) {
  OneQueue queue;
  queue.load();
  auto id = queue.state.add({kPart, kOther}, "set");
  queue.state.loaded("other", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{1}},
                     {});
  auto entries = queue.state.join_of(id).entries;
  queue.state.joined(id, Revision{2});
  Entry stands{"set@A#2", LeaseId{1}, Revision{2}, Revision{2}};
  ChangeBatch batch{.revision = Revision{2}, .changes = {}};
  for (const std::string& entry : entries) batch.changes.push_back({.key = entry, .now = stands, .previous = {}});
  queue.state.changed(batch);
  ChangeBatch loss{.revision = Revision{3}, .changes = {}};
  loss.changes.push_back({.key = entries[0], .now = std::nullopt, .previous = stands});
  queue.state.changed(loss);
  queue.state.take_effects();
  for (int tries = 0; tries < 2; ++tries) {
    EXPECT_EQ(queue.state.take_lost(10).size(), 1u);
    auto join = queue.state.join_of(id);
    ASSERT_EQ(join.left.size(), 1u) << "by the commit that joins all again (R24)";
    EXPECT_EQ(join.left[0].entry, entries[1]);
    EXPECT_EQ(join.left[0].revision, Revision{2});
    queue.state.not_joined(id);
  }
  queue.state.take_effects();
  queue.state.left(id);
  auto effects = queue.state.take_effects();
  auto is_left = [&](const auto& effect) {
    auto* remove = std::get_if<QueueState::Remove>(&effect);
    return remove && remove->entry == entries[1] && remove->revision == Revision{2};
  };
  EXPECT_EQ(std::ranges::count_if(effects, is_left), 1) << "whoever leaves before that has to erase it";
}

// Waiters that could not join have new names, and still stay ahead of those behind them.
TEST(QueueState, SafetyR24_AWaiterThatCouldNotJoinAgainStaysAheadOfThoseBehind) {
  OneQueue queue;
  queue.load();
  std::vector<QueueState::WaiterId> all;
  std::vector<std::pair<QueueState::WaiterId, std::string>> named;
  for (const char* who : {"one", "two", "three"}) {
    all.push_back(queue.state.add({kPart}, who));
    named.emplace_back(all.back(), who);
  }
  queue.join_together(named);
  for (auto id : all) queue.happens(queue.state.entries_of(id).entries.front(), "");
  std::vector<QueueState::WaiterId> first(all.begin(), all.begin() + 2);
  EXPECT_EQ(queue.state.take_lost(2), first);
  for (auto id : first) queue.state.not_joined(id);
  EXPECT_EQ(queue.state.take_lost(10), all);
}

// take_lost() returns one commit's worth, so that no waiter is tried before those ahead of it have joined.
TEST(QueueState, SafetyR24_SetsAreTakenByTheirEntries) {
  OneQueue queue;
  queue.load();
  std::vector<QueueState::WaiterId> all;
  for (const char* who : {"one", "two"}) all.push_back(queue.state.add({kPart, kOther}, who));
  queue.state.loaded("other", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{1}},
                     {});
  std::int64_t last = 1;
  for (auto id : all) {
    auto entries = queue.state.join_of(id).entries;
    Revision at{++last};
    queue.state.joined(id, at);
    ChangeBatch batch{.revision = at, .changes = {}};
    for (const auto& one : entries)
      batch.changes.push_back({.key = one, .now = Entry{"set@A#2", LeaseId{1}, at, at}, .previous = {}});
    queue.state.changed(batch);
  }
  for (auto id : all) {
    ChangeBatch batch{.revision = Revision{++last}, .changes = {}};
    for (const auto& one : queue.state.entries_of(id).entries) {
      batch.changes.push_back({.key = one, .now = std::nullopt, .previous = {}});
    }
    queue.state.changed(batch);
  }
  EXPECT_EQ(queue.state.take_lost(3), (std::vector<QueueState::WaiterId>{all[0]}));
  EXPECT_EQ(queue.state.take_lost(1), (std::vector<QueueState::WaiterId>{all[1]})) << "though it needs more";
}

// A client's older request, at another server, joins again behind the newer one here: it is still the older one.
TEST(QueueState, SafetyR37_AnOlderRequestThatJoinsAgainIsNotTakenForTheNewerOne) {
  OneQueue queue;
  queue.load();
  auto newer = queue.stand("one");
  queue.state.take_effects();
  queue.happens("line/9-B", "one@B~1");
  EXPECT_FALSE(queue.is_told(newer, QueueState::Step::superseded));
  queue.happens("line/9-B", "");
  queue.happens("line/8-B", "one@B");
  EXPECT_TRUE(queue.is_told(newer, QueueState::Step::superseded))
      << "but one that has not lost its entry is the newer one";
}

// The first try may happen until the entries are seen to be gone, or are replaced by others.
TEST(QueueState, SafetyR26_ATryWithoutAnAnswerMayHappenAfterTheNextOne) {
  OneQueue queue;
  queue.load(/*is_held=*/false);
  queue.happens("lock", "other");
  auto id = queue.stand("one");
  queue.state.tried(id, QueueState::EntryFate::unknown);
  queue.state.tried(id, QueueState::EntryFate::there);
  EXPECT_TRUE(queue.state.may_take_yet(id));
  auto newer = queue.state.add({kPart}, "one", QueueState::Back::here);
  EXPECT_TRUE(queue.state.may_take_yet(newer)) << "that has its entry";
  queue.state.tried(newer, QueueState::EntryFate::gone);
  EXPECT_FALSE(queue.state.may_take_yet(newer));
}

}  // namespace
}  // namespace sharedlock::scenes
