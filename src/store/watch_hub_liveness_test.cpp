#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "store/watch_hub.h"
#include "support/eventually.h"

namespace sharedlock {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What a watcher was told, in words.
class Told {
 public:
  WatchHandler handler() {
    return [this](const WatchEvent& event) {
      std::scoped_lock lock(mutex_);
      words_.push_back(word_for(event));
    };
  }
  std::vector<std::string> words() const {
    std::scoped_lock lock(mutex_);
    return words_;
  }
  [[nodiscard]] bool becomes(std::vector<std::string> expected) const {
    return test::eventually([&] { return words() == expected; });
  }

 private:
  static std::string word_for(const WatchEvent& event) {
    if (std::holds_alternative<Snapshot>(event)) return "snapshot";
    if (auto* batch = std::get_if<ChangeBatch>(&event)) return std::to_string(number_of(batch->revision));
    return std::get<Liveness>(event).live ? "live" : "not live";
  }

  mutable std::mutex mutex_;
  std::vector<std::string> words_;
};

std::vector<Change> a_change() {
  return {Change{.key = "a", .now = Entry{}, .previous = std::nullopt}};
}

class WatchHubLiveness : public ::testing::Test {
 protected:
  std::atomic<bool> can_snapshot = true;
  std::atomic<int> tries = 0;
  WatchHub hub{Revision{1}, [this](const std::string&) {
                 ++tries;
                 return can_snapshot ? std::optional(Snapshot{Revision{10}, {}}) : std::nullopt;
               }};
  Told told;
};

TEST_F(WatchHubLiveness, WatchersAreToldOfEachChangeOnce) {
  Subscription subscription = hub.subscribe("", std::nullopt, told.handler());
  ASSERT_TRUE(told.becomes({"snapshot"}));
  hub.live(true);
  hub.live(false);
  ASSERT_TRUE(told.becomes({"snapshot", "not live"}));
  hub.live(false);
  hub.live(true);
  ASSERT_TRUE(told.becomes({"snapshot", "not live", "live"}));
  hub.publish(Revision{11}, a_change());
  EXPECT_TRUE(told.becomes({"snapshot", "not live", "live", "11"}));
}

TEST_F(WatchHubLiveness, LiveAgainOnlyAfterEverythingBefore) {
  Subscription subscription = hub.subscribe("", std::nullopt, told.handler());
  ASSERT_TRUE(told.becomes({"snapshot"}));
  hub.live(false);
  ASSERT_TRUE(told.becomes({"snapshot", "not live"}));
  hub.publish(Revision{11}, a_change());
  hub.publish(Revision{12}, a_change());
  hub.live(true);
  EXPECT_TRUE(told.becomes({"snapshot", "not live", "11", "12", "live"}));
}

TEST_F(WatchHubLiveness, ASnapshotIsToldBeforeTheStateIsSaidNotToBeCurrent) {
  hub.live(false);
  Subscription subscription = hub.subscribe("", std::nullopt, told.handler());
  EXPECT_TRUE(told.becomes({"snapshot", "not live"}));
}

// Until it has its snapshot, which may take long, it must not rely on what it was told before.
TEST_F(WatchHubLiveness, AWatcherThatFellBehindIsToldSoBeforeItsSnapshot) {
  std::atomic<Revision> latest{Revision{10}};
  WatchHub forgetful(Revision{1}, [&](const std::string&) { return std::optional(Snapshot{latest.load(), {}}); },
                     {.batches = 2});
  std::atomic<bool> may_go_on = false;
  auto slow = [&, tell = told.handler()](const WatchEvent& event) {
    tell(event);
    bool waits = std::holds_alternative<ChangeBatch>(event) && !may_go_on;
    EXPECT_TRUE(!waits || test::eventually([&] { return may_go_on.load(); }));
  };
  auto subscription = forgetful.subscribe("", std::nullopt, slow);
  ASSERT_TRUE(told.becomes({"snapshot"}));
  forgetful.publish(Revision{11}, a_change());
  ASSERT_TRUE(told.becomes({"snapshot", "11"}));
  for (int revision = 12; revision < 20; ++revision) forgetful.publish(Revision{revision}, a_change());
  latest = Revision{19};
  may_go_on = true;
  EXPECT_TRUE(told.becomes({"snapshot", "11", "not live", "snapshot", "live"}));
}

TEST_F(WatchHubLiveness, ASnapshotThatCanNotBeHadIsAskedForAgainWhenThereIsNews) {
  can_snapshot = false;
  Subscription subscription = hub.subscribe("", std::nullopt, told.handler());
  ASSERT_TRUE(test::eventually([&] { return tries == 1; }));
  hub.look_again();
  ASSERT_TRUE(test::eventually([&] { return tries == 2; }));
  EXPECT_THAT(told.words(), IsEmpty());
  can_snapshot = true;
  hub.live(true);
  EXPECT_TRUE(told.becomes({"snapshot"}));
}

TEST_F(WatchHubLiveness, OneWatcherWithoutASnapshotDelaysNoOther) {
  Told other;
  Subscription first = hub.subscribe("", std::nullopt, told.handler());
  ASSERT_TRUE(told.becomes({"snapshot"}));
  can_snapshot = false;
  Subscription second = hub.subscribe("", std::nullopt, other.handler());
  ASSERT_TRUE(test::eventually([&] { return tries >= 2; }));
  hub.publish(Revision{11}, a_change());
  EXPECT_TRUE(told.becomes({"snapshot", "11"}));
}

}  // namespace
}  // namespace sharedlock
