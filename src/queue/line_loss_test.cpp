// Places that are lost with a session and joined again (R24), and what is known of one line when answers and events
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

#include "queue/line_book.h"
#include "queue/line_scenes_test.h"

namespace sharedlock::scenes {
namespace {

// One line at server A; each test tells it the events.
class OneLine {
 public:
  OneLine() : book("A", see_lock, see_place) {}

  void load(bool is_held = true) {
    book.look_after(kPart);
    std::optional<Entry> lock;
    if (is_held) lock = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}};
    book.loaded("lock", {.entry = lock, .as_of = Revision{1}}, {});
  }
  void happens(const std::string& key, const std::string& value) {
    Revision now = next();
    Change change{.key = key, .now = std::nullopt, .previous = std::nullopt};
    if (!value.empty()) change.now = Entry{value, LeaseId{1}, now, now};
    ChangeBatch batch{.revision = now, .changes = {}};
    batch.changes.push_back(std::move(change));
    book.changed(batch);
  }
  // A waiter with its place.
  LineBook::WaiterId stand(const std::string& who) {
    auto id = book.add({kPart}, who, LineBook::Back::here);
    join(id, who);
    return id;
  }
  void join(LineBook::WaiterId id, const std::string& who) {
    places[id] = book.join_of(id).places.front();
    book.joined(id, Revision{last + 1});
    happens(places[id], who + "@A");
  }
  void join_together(const std::vector<std::pair<LineBook::WaiterId, std::string>>& all) {
    Revision now = next();
    ChangeBatch batch{.revision = now, .changes = {}};
    for (const auto& [id, who] : all) {
      std::string place = book.join_of(id).places.front();
      batch.changes.push_back({.key = place, .now = Entry{who + "@A", LeaseId{1}, now, now}, .previous = {}});
      book.joined(id, now);
    }
    book.changed(batch);
  }
  bool is_told(LineBook::WaiterId id, LineBook::Turn turn) {
    auto effects = book.take_effects();
    return std::ranges::any_of(effects, [&](const auto& effect) {
      auto* wake = std::get_if<LineBook::Wake>(&effect);
      return wake && wake->waiter == id && wake->turn == turn;
    });
  }

  LineBook book;
  std::map<LineBook::WaiterId, std::string> places;

 private:
  Revision next() { return Revision{++last}; }
  std::int64_t last = 1;
};

// A client that came back to its kept place has a newer request than the waiters behind it.
TEST(LineBook, SafetyR24_PlacesAreJoinedAgainInTheirOrderNotInThatOfRequests) {
  OneLine line;
  line.load();
  auto first = line.stand("first");
  auto second = line.stand("second");
  std::string place = line.places[first];
  line.book.keep(first, kKept);
  auto back = line.book.add({kPart}, "first", LineBook::Back::here);
  for (int sessions = 0; sessions < 2; ++sessions) {
    line.happens(sessions == 0 ? place : line.book.places_of(back).places.front(), "");
    line.happens(line.book.places_of(second).places.front(), "");
    EXPECT_EQ(line.book.take_lost(10), (std::vector<LineBook::WaiterId>{back, second})) << sessions;
    // The store does not answer at once.
    line.book.not_joined(back);
    line.book.not_joined(second);
    EXPECT_EQ(line.book.take_lost(10), (std::vector<LineBook::WaiterId>{back, second})) << sessions;
    // Both by one commit: then their names order them.
    std::string front = line.book.join_of(back).places.front();
    std::string behind = line.book.join_of(second).places.front();
    EXPECT_LT(front, behind);
    line.join_together({{back, "first"}, {second, "second"}});
  }
}

// The client's connection may have been cut without notice. R26: the newer request counts, and the older one must not
// join behind it, where it would seem the newer.
TEST(LineBook, SafetyR24_WhoHasComeElsewhereIsNotJoinedAgain) {
  for (bool joins : {false, true}) {
    OneLine line;
    line.load();
    auto old = line.stand("one");
    line.happens(line.places[old], "");
    if (joins) {
      EXPECT_EQ(line.book.take_lost(10).size(), 1u);
    }
    line.happens("line/1-B", "one@B");
    EXPECT_TRUE(line.book.take_lost(10).empty());
    EXPECT_TRUE(line.is_told(old, LineBook::Turn::superseded)) << joins;
    line.book.left(old);
    EXPECT_EQ(line.book.waiters(), 0u);
  }
}

// Both places are read at once, before the answer that says which of them was put first.
TEST(LineBook, SafetyR26_WhichPlaceIsTheLaterIsSeenOnceItsOwnIsKnown) {
  for (std::int64_t elsewhere : {2, 4}) {
    OneLine line;
    line.load();
    auto id = line.book.add({kPart}, "one", LineBook::Back::no);
    std::string place = line.book.join_of(id).places.front();
    line.book.reset();
    Listing both{.entries = {}, .more = false, .as_of = Revision{5}};
    both.entries.emplace_back("line/000-B", Entry{"one@B", LeaseId{2}, Revision{elsewhere}, Revision{elsewhere}});
    both.entries.emplace_back(place, Entry{"one@A", LeaseId{1}, Revision{3}, Revision{3}});
    line.book.loaded("lock", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{5}},
                     both);
    line.book.joined(id, Revision{3});
    EXPECT_EQ(line.is_told(id, LineBook::Turn::superseded), elsewhere == 4);
  }
}

// An unanswered commit may yet take the lock, and must not take it for a client that is away.
TEST(LineBook, SafetyR37_NoPlaceIsKeptWhileATakeMayYetHappen) {
  for (bool waits_for_the_answer : {false, true}) {
    OneLine line;
    line.load(/*is_held=*/false);
    line.happens("lock", "other");
    auto first = line.stand("one");
    line.happens("lock", "");
    EXPECT_TRUE(line.is_told(first, LineBook::Turn::take));
    line.happens("lock", "other");
    auto come_back = [&] { return line.book.add({kPart}, "one", LineBook::Back::here); };
    auto back = waits_for_the_answer ? come_back() : first;
    line.book.tried(first, LineBook::Places::unknown);
    if (!waits_for_the_answer) back = come_back();
    line.book.keep(back, kKept);
    EXPECT_EQ(line.book.kept(), 0u) << waits_for_the_answer;
  }
}

// A line without waiters may get one again while an old read of it is under way. Had it been forgotten in between, the
// events since that read would be missing.
TEST(LineBook, ALineIsNotForgottenWhileItIsRead) {
  OneLine line;
  auto gone = line.book.add({kPart}, "gone");
  line.book.left(gone);
  line.book.advance(BootTime() + std::chrono::seconds(100));
  EXPECT_EQ(line.book.lines(), 1u);
  line.happens("line/1-B", "other@B");
  line.book.add({kPart}, "one");
  line.load(/*is_held=*/false);
  EXPECT_TRUE(line.book.is_occupied("lock"));

  OneLine another;
  another.book.left(another.book.add({kPart}, "gone"));
  another.book.advance(BootTime() + std::chrono::seconds(100));
  another.load();
  another.book.advance(BootTime() + std::chrono::seconds(200));
  EXPECT_EQ(another.book.lines(), 0u);
}

// R37: each erasure of a place is guarded by its revision, also where a set has lost some of its places.
TEST(LineBook, SafetyR37_WhatIsLeftOfASetIsErasedAsItWasKnown) {
  OneLine line;
  line.load();
  auto id = line.book.add({kPart, kOther}, "set");
  line.book.loaded("other", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{1}}, {});
  auto places = line.book.join_of(id).places;
  line.book.joined(id, Revision{2});
  Entry stands{"set@A#2", LeaseId{1}, Revision{2}, Revision{2}};
  ChangeBatch batch{.revision = Revision{2}, .changes = {}};
  for (const std::string& place : places) batch.changes.push_back({.key = place, .now = stands, .previous = {}});
  line.book.changed(batch);
  ChangeBatch loss{.revision = Revision{3}, .changes = {}};
  loss.changes.push_back({.key = places[0], .now = std::nullopt, .previous = stands});
  line.book.changed(loss);
  line.book.take_effects();
  for (int tries = 0; tries < 2; ++tries) {
    EXPECT_EQ(line.book.take_lost(10).size(), 1u);
    auto join = line.book.join_of(id);
    ASSERT_EQ(join.left.size(), 1u) << "by the commit that joins all again (R24)";
    EXPECT_EQ(join.left[0].place, places[1]);
    EXPECT_EQ(join.left[0].revision, Revision{2});
    line.book.not_joined(id);
  }
  line.book.take_effects();
  line.book.left(id);
  auto effects = line.book.take_effects();
  auto is_left = [&](const auto& effect) {
    auto* remove = std::get_if<LineBook::Remove>(&effect);
    return remove && remove->place == places[1] && remove->revision == Revision{2};
  };
  EXPECT_EQ(std::ranges::count_if(effects, is_left), 1) << "whoever leaves before that has to erase it";
}

// Waiters that could not join have new names, and still stay ahead of those behind them.
TEST(LineBook, SafetyR24_WhoCouldNotJoinAgainIsStillBeforeThoseBehind) {
  OneLine line;
  line.load();
  std::vector<LineBook::WaiterId> all;
  std::vector<std::pair<LineBook::WaiterId, std::string>> named;
  for (const char* who : {"one", "two", "three"}) {
    all.push_back(line.book.add({kPart}, who));
    named.emplace_back(all.back(), who);
  }
  line.join_together(named);
  for (auto id : all) line.happens(line.book.places_of(id).places.front(), "");
  std::vector<LineBook::WaiterId> first(all.begin(), all.begin() + 2);
  EXPECT_EQ(line.book.take_lost(2), first);
  for (auto id : first) line.book.not_joined(id);
  EXPECT_EQ(line.book.take_lost(10), all);
}

// take_lost() returns one commit's worth, so that no waiter is tried before those ahead of it have joined.
TEST(LineBook, SafetyR24_SetsAreTakenByTheirPlaces) {
  OneLine line;
  line.load();
  std::vector<LineBook::WaiterId> all;
  for (const char* who : {"one", "two"}) all.push_back(line.book.add({kPart, kOther}, who));
  line.book.loaded("other", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{1}}, {});
  std::int64_t last = 1;
  for (auto id : all) {
    auto places = line.book.join_of(id).places;
    Revision at{++last};
    line.book.joined(id, at);
    ChangeBatch batch{.revision = at, .changes = {}};
    for (const auto& one : places)
      batch.changes.push_back({.key = one, .now = Entry{"set@A#2", LeaseId{1}, at, at}, .previous = {}});
    line.book.changed(batch);
  }
  for (auto id : all) {
    ChangeBatch batch{.revision = Revision{++last}, .changes = {}};
    for (const auto& one : line.book.places_of(id).places) {
      batch.changes.push_back({.key = one, .now = std::nullopt, .previous = {}});
    }
    line.book.changed(batch);
  }
  EXPECT_EQ(line.book.take_lost(3), (std::vector<LineBook::WaiterId>{all[0]}));
  EXPECT_EQ(line.book.take_lost(1), (std::vector<LineBook::WaiterId>{all[1]})) << "though it needs more";
}

// A client's older request, at another server, joins again behind the newer one here: it is still the older one.
TEST(LineBook, SafetyR37_AnOlderRequestThatJoinsAgainIsNotTakenForTheNewerOne) {
  OneLine line;
  line.load();
  auto newer = line.stand("one");
  line.book.take_effects();
  line.happens("line/9-B", "one@B~1");
  EXPECT_FALSE(line.is_told(newer, LineBook::Turn::superseded));
  line.happens("line/9-B", "");
  line.happens("line/8-B", "one@B");
  EXPECT_TRUE(line.is_told(newer, LineBook::Turn::superseded))
      << "but one that has not lost its place is the newer one";
}

// The first try may happen until the places are seen to be gone, or are replaced by others.
TEST(LineBook, SafetyR26_ATryWithoutAnAnswerMayHappenAfterTheNextOne) {
  OneLine line;
  line.load(/*is_held=*/false);
  line.happens("lock", "other");
  auto id = line.stand("one");
  line.book.tried(id, LineBook::Places::unknown);
  line.book.tried(id, LineBook::Places::there);
  EXPECT_TRUE(line.book.may_take_yet(id));
  auto newer = line.book.add({kPart}, "one", LineBook::Back::here);
  EXPECT_TRUE(line.book.may_take_yet(newer)) << "that has its place";
  line.book.tried(newer, LineBook::Places::gone);
  EXPECT_FALSE(line.book.may_take_yet(newer));
}

}  // namespace
}  // namespace sharedlock::scenes
