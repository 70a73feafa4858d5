// Entries that are kept for clients that were cut off (R37), in every order of events.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "queue/queue_scenes_test.h"
#include "queue/queue_state.h"

namespace sharedlock::scenes {
namespace {

// "one" is first in the queue, and its connection is cut; it comes back, or "two" gets its turn.
Scene cut_of_the_first(std::vector<Scene::Client> more) {
  Scene scene{.clients = {{"one", 0, {kPart}, true}, {"two", 1, {kPart}, false}}, .cuts = 1};
  scene.clients.insert(scene.clients.end(), more.begin(), more.end());
  return scene;
}
constexpr int kShare = 5;
const Scene::Client kBackHere{"one", 0, {kPart}, true, 0};
const Scene::Client kBackElsewhere{"one", 1, {kPart}, true, 0};

TEST(QueueState, SafetyR37_AClientThatNeverComesBackIsPassed) {
  Scene scene = cut_of_the_first({});
  scene.ticks = 1;
  expect_well(scene, kShare);
  scene.give_ups = 1;
  expect_well(scene, kShare);
}

TEST(QueueState, SafetyR37_AClientThatComesBackHereHasItsEntry) {
  expect_well(cut_of_the_first({kBackHere}), kShare);
}

TEST(QueueState, SafetyR37_AClientThatComesBackElsewhereHasItsEntry) {
  expect_well(cut_of_the_first({kBackElsewhere}), kShare);
}

TEST(QueueState, SafetyR37_AClientComesBackLate) {
  for (const auto& back : {kBackHere, kBackElsewhere}) {
    Scene scene = cut_of_the_first({back});
    scene.ticks = 2;
    expect_well(scene, kShare);
  }
}

// Also at the moment of its grant, which a foreign program makes fail.
TEST(QueueState, SafetyR37_AClientComesBackAsItsTurnComes) {
  for (const auto& back : {kBackHere, kBackElsewhere}) {
    Scene scene = cut_of_the_first({back});
    scene.foreign_takes = 1;
    expect_well(scene, kShare);
  }
}

TEST(QueueState, SafetyR37_AClientGoesToAndFro) {
  Scene scene = cut_of_the_first({kBackElsewhere, kBackHere});
  scene.clients.back().of = 2;
  scene.cuts = 2;
  expect_well(scene, kShare);
}

TEST(QueueState, SafetyR37_AnswersAreLostMeanwhile) {
  for (const auto& back : {kBackHere, kBackElsewhere}) {
    Scene scene = cut_of_the_first({back});
    scene.lost_answers = 1;
    expect_well(scene, kShare);
  }
}

TEST(QueueState, SafetyR37_TheServerThatKeepsAnEntryDies) {
  Scene scene = cut_of_the_first({kBackElsewhere});
  scene.crashes = 1;
  expect_well(scene, kShare);
}

// R24: an entry that is kept is not joined again, nor is one that another server has taken over.
TEST(QueueState, SafetyR37_TheServerThatKeepsAnEntryLosesItsSession) {
  for (const auto& back : {kBackHere, kBackElsewhere}) {
    Scene scene = cut_of_the_first({back});
    scene.session_ends = 1;
    expect_well(scene, kShare);
  }
}

TEST(QueueState, SafetyR37_ASetComesBack) {
  for (std::size_t server : {0u, 1u}) {
    Scene scene{.clients = {{"one", 0, {kPart, kOther}, true},
                            {"two", 1, {kPart}, false},
                            {"one", server, {kPart, kOther}, true, 0}},
                .cuts = 1};
    expect_well(scene, kShare);
    scene.ticks = 1;
    expect_well(scene, kShare);
  }
}

// A client that ends for good says so by a release.
TEST(QueueState, SafetyR37_AnEntryThatIsGivenUpGoesAtOnce) {
  for (bool before_the_cut : {false, true}) {
    QueueState queue_state("A", see_lock, see_entry);
    auto id = queue_state.add({kPart}, "one", QueueState::Back::here);
    queue_state.loaded("lock", {.entry = Entry{"holder", LeaseId{1}, Revision{1}, Revision{1}}, .as_of = Revision{1}},
                       {});
    std::string entry = queue_state.join_of(id).entries.front();
    queue_state.joined(id, Revision{2});
    queue_state.changed(
        {.revision = Revision{2},
         .changes = {{.key = entry, .now = Entry{"one@A", LeaseId{1}, Revision{2}, Revision{2}}, .previous = {}}}});
    auto removes = [&] {
      auto effects = queue_state.take_effects();
      return std::ranges::count_if(effects, [&](const auto& effect) {
        auto* remove = std::get_if<QueueState::Remove>(&effect);
        return remove && remove->entry == entry && remove->revision == Revision{2};
      });
    };
    if (before_the_cut) queue_state.give_up({"lock"}, "one");
    EXPECT_EQ(removes(), 0) << "who is there still waits";
    queue_state.keep(id, kKept);
    if (!before_the_cut) {
      queue_state.give_up({"lock"}, "two");
      queue_state.give_up({"lock", "other"}, "one");
      EXPECT_EQ(removes(), 0) << "another, and for a set";
      EXPECT_EQ(queue_state.kept(), 1u);
      queue_state.give_up({"lock"}, "one");
    }
    EXPECT_EQ(removes(), 1);
    EXPECT_EQ(queue_state.kept(), 0u);
  }
}

}  // namespace
}  // namespace sharedlock::scenes
