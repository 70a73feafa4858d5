// Handlers that begin and end subscriptions, also their own, and what they hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>

#include "store/watch_hub_fixture_test.h"
#include "support/eventually.h"

namespace sharedlock::hub {
namespace {

using test::eventually;
using ::testing::IsEmpty;

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
}  // namespace sharedlock::hub
