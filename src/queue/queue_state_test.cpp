// Turns in a queue, in every order of events (R22 to R26).
#include "queue/queue_state.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "queue/queue_scenes_test.h"
#include "support/effort.h"

namespace sharedlock::scenes {
namespace {

TEST(QueueState, SafetyR22_TwoServersHandOn) {
  Explored explored = explore({.clients = {{"one", 0}, {"two", 1}}}, test::kFullSpeed ? 1'000'000 : 500);
  EXPECT_EQ(explored.fault, "");
  EXPECT_EQ(explored.complete, test::kFullSpeed);
}

TEST(QueueState, SafetyR22_AmongProgramsThatKnowNoQueues) {
  expect_well({.clients = {{"one", 0}, {"two", 1}}, .foreign_takes = 1});
}

TEST(QueueState, SafetyR22_ThreeInOneQueue) {
  expect_well({.clients = {{"one", 0}, {"two", 1}, {"three", 0}}});
}

TEST(QueueState, SafetyR22_WhenAServerDies) {
  expect_well({.clients = {{"one", 0}, {"two", 1}}, .crashes = 1});
}

TEST(QueueState, SafetyR22_WhenAnswersAreLost) {
  expect_well({.clients = {{"one", 0}, {"two", 1}}, .lost_answers = 1});
}

TEST(QueueState, SafetyR22_WhenTheWatchHasAGap) {
  expect_well({.clients = {{"one", 0}, {"two", 1}}, .gaps = 1});
}

TEST(QueueState, SafetyR22_WhenOneLeaves) {
  expect_well({.clients = {{"one", 0}, {"two", 1}}, .leaves = 1});
}

TEST(QueueState, SafetyR23_ADeafHeadIsPassed) {
  expect_well({.clients = {{"one", 0}, {"two", 1}}, .deaf = true});
}

TEST(QueueState, SafetyR24_AServerThatLosesItsSessionJoinsAgain) {
  expect_well({.clients = {{"one", 0}, {"two", 0}, {"three", 1}}, .session_ends = 1});
  expect_well({.clients = {{"one", 0}, {"two", 0}, {"three", 1}}, .lost_answers = 1, .session_ends = 1});
}

TEST(QueueState, SafetyR25_SetsThatOverlap) {
  expect_well({.clients = {{"one", 0, {kPart, kOther}}, {"two", 1, {kOther, kPart}}}});
}

TEST(QueueState, SafetyR25_SetsLoseEntriesTogether) {
  expect_well({.clients = {{"one", 0, {kPart, kOther}}, {"two", 1, {kOther, kPart}}}, .session_ends = 1});
}

TEST(QueueState, SafetyR26_TheSameWaitsTwice) {
  expect_well({.clients = {{"same", 0}, {"same", 1}}});
  expect_well({.clients = {{"same", 0}, {"same", 0}, {"two", 1}}});
}

// What is known of a queue that is being read anew may be out of date: the head that did nothing may be gone, and the
// queue empty. (As after an outage of etcd: watches begin anew, and the sessions of other servers have ended.)
TEST(QueueState, SafetyR23_NoHeadIsPassedInAQueueThatIsReadAnew) {
  const Revision listed{3};
  QueueState queue_state("A", see_lock, see_entry);
  queue_state.add(std::vector<QueuePart>(1, kPart), "ours");
  Entry head{.value = "theirs@B", .lease = LeaseId{7}, .created = Revision{2}, .revision = Revision{2}};
  Listing entries{.entries = {}, .more = false, .as_of = listed};
  entries.entries.emplace_back("line/1-B", head);
  queue_state.loaded(kPart.lock, Found{std::nullopt, listed}, entries);

  queue_state.reset();
  Change left{.key = "line/1-B", .now = std::nullopt, .previous = head};
  ChangeBatch batch{.revision = Revision{4}, .changes = {}};
  batch.changes.push_back(std::move(left));
  queue_state.changed(batch);
  queue_state.take_effects();
  queue_state.advance(BootTime() + std::chrono::seconds(3));
  EXPECT_TRUE(queue_state.take_effects().empty());

  // Once the queue is known again, the next head that does nothing is passed.
  Listing anew{.entries = {}, .more = false, .as_of = Revision{5}};
  head.created = head.revision = Revision{5};
  anew.entries.emplace_back("line/2-B", head);
  queue_state.loaded(kPart.lock, Found{std::nullopt, Revision{5}}, anew);
  queue_state.take_effects();
  queue_state.advance(BootTime() + std::chrono::seconds(4));
  EXPECT_TRUE(queue_state.take_effects().empty());
  queue_state.advance(BootTime() + std::chrono::seconds(6));
  auto effects = queue_state.take_effects();
  ASSERT_EQ(effects.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<QueueState::Evict>(effects[0]));
  EXPECT_EQ(std::get<QueueState::Evict>(effects[0]).entry, "line/2-B");
}

// Thousands of waiters may need it at once, when their time is up together.
TEST(QueueState, HowManyAreAheadOfTheLastIsKnownAsSoonAsOfTheFirst) {
  constexpr std::int64_t kWaiters = 20'000;
  QueueState queue_state("A", see_lock, see_entry);
  std::vector<QueueState::WaiterId> waiters;
  for (std::int64_t i = 0; i < kWaiters; ++i) waiters.push_back(queue_state.add({kPart}, std::to_string(i)));
  queue_state.loaded("lock", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{1}},
                     {});
  for (std::int64_t i = 0; i < kWaiters; ++i) {
    std::string key = queue_state.join_of(waiters[static_cast<std::size_t>(i)]).entries.front();
    Revision revision{i + 2};
    Entry entry{std::to_string(i) + "@A", LeaseId{1}, revision, revision};
    queue_state.joined(waiters[static_cast<std::size_t>(i)], revision);
    queue_state.changed({.revision = revision, .changes = {{.key = key, .now = entry, .previous = {}}}});
  }
  // The shortest of several runs, since other programs may take the core meanwhile.
  auto time_of = [&](std::size_t from) {
    auto shortest = std::chrono::steady_clock::duration::max();
    for (int tries = 0; tries < 5; ++tries) {
      auto begun = std::chrono::steady_clock::now();
      for (std::size_t i = from; i < from + 1000; ++i) EXPECT_EQ(queue_state.ahead_of(waiters[i]), i);
      shortest = std::min(shortest, std::chrono::steady_clock::now() - begun);
    }
    return shortest;
  };
  EXPECT_LT(time_of(waiters.size() - 1000), 10 * time_of(0));
}

// One of our waiters is first in the queue for a lock that is held; leases are renewed by puts (R33).
class RenewedQueues : public testing::Test {
 protected:
  RenewedQueues() {
    queue_state_.loaded(kPart.lock, Found{held_by("holder", 1), Revision{1}}, {});
    std::string entry = queue_state_.join_of(waiter_).entries.front();
    queue_state_.joined(waiter_, Revision{2});
    tell(entry, 2, Entry{.value = "two@A", .lease = LeaseId{1}, .created = Revision{2}, .revision = Revision{2}});
    queue_state_.take_effects();
  }

  // Created at revision 1, and put last at `revision`.
  static Entry held_by(const std::string& name, std::int64_t revision) {
    return {.value = name, .lease = LeaseId{revision}, .created = Revision{1}, .revision = Revision{revision}};
  }

  void tell(const std::string& key, std::int64_t revision, std::optional<Entry> now) {
    Change change{.key = key, .now = std::move(now), .previous = std::nullopt};
    ChangeBatch batch{.revision = Revision{revision}, .changes = {}};
    batch.changes.push_back(std::move(change));
    queue_state_.changed(batch);
  }

  std::optional<QueueState::Step> only_step() {
    auto effects = queue_state_.take_effects();
    auto* wake = effects.size() == 1 ? std::get_if<QueueState::Wake>(&effects.front()) : nullptr;
    return wake && wake->waiter == waiter_ ? std::optional(wake->step) : std::nullopt;
  }

  QueueState queue_state_{"A", see_lock, see_entry};
  QueueState::WaiterId waiter_ = queue_state_.add(std::vector<QueuePart>(1, kPart), "two");
};

TEST_F(RenewedQueues, ARenewalIsKnownAndWakesNoWaiter) {
  BootTime due = queue_state_.next_due();
  for (std::int64_t revision = 3; revision < 6; ++revision) {
    tell(kPart.lock, revision, held_by("holder", revision));
    EXPECT_TRUE(queue_state_.take_effects().empty()) << revision;
    EXPECT_EQ(queue_state_.next_due(), due) << revision;
    EXPECT_EQ(queue_state_.holder_of(kPart.lock).value().revision, Revision{revision});
  }
  tell(kPart.lock, 4, std::nullopt);
  EXPECT_TRUE(queue_state_.take_effects().empty()) << "it was renewed later";
  tell(kPart.lock, 6, std::nullopt);
  EXPECT_EQ(only_step(), QueueState::Step::take);
}

TEST_F(RenewedQueues, APutThatChangesTheHolderIsNoRenewal) {
  tell(kPart.lock, 3, held_by("holder", 3));
  tell(kPart.lock, 4, held_by("two", 4));
  EXPECT_EQ(only_step(), QueueState::Step::retake);
}

}  // namespace
}  // namespace sharedlock::scenes
