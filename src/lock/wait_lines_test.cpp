// Waiting in line inside one process: many threads, one lock, no wake-up lost.
#include "lock/wait_lines.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <memory>

#include "base/io_threads.h"
#include "lock/lock_service.h"
#include "store/memory_store.h"
#include "support/background_call.h"

namespace sharedlock {
namespace {

using std::chrono::seconds;
using test::BackgroundCall;

const LockName kLock{"space", "name"};

class WaitLinesTest : public testing::Test {
 protected:
  AcquireRequest asking(const std::string& instance, seconds wait) {
    return {.lock = kLock,
            .holder = {"owner", instance},
            .duration = seconds(60),
            .received = clock.boot_now(),
            .wait = wait,
            .when_hung_up = nullptr};
  }

  SystemClock clock;
  Log log{LogLevel::error};
  std::unique_ptr<LeaseStore> store = make_memory_store(clock);
  IoThreads threads{4};
  LockService locks{{}, *store, clock, log};
};

struct Seen {
  std::atomic<int> inside = 0;
  std::atomic<int> most_inside = 0;
  std::atomic<int> granted = 0;
  std::atomic<std::int64_t> token = 0;
  std::atomic<int> tokens_fell = 0;
};

// Takes the lock and gives it back, `times` over.
Task<int> take_turns(LockService* locks, Clock* clock, std::string instance, int times, Seen* seen) {
  Holder holder{"owner", instance};
  for (int i = 0; i < times; ++i) {
    AcquireRequest request{.lock = kLock,
                           .holder = holder,
                           .duration = seconds(60),
                           .received = clock->boot_now(),
                           .wait = seconds(300),
                           .when_hung_up = nullptr};
    auto answer = co_await locks->acquire(std::move(request));
    auto* grant = answer ? std::get_if<LockGrant>(&*answer) : nullptr;
    if (!grant) co_return i;
    int inside = ++seen->inside;
    seen->most_inside = std::max(seen->most_inside.load(), inside);
    if (seen->token.exchange(number_of(grant->token)) >= number_of(grant->token)) ++seen->tokens_fell;
    ++seen->granted;
    --seen->inside;
    ReleaseRequest release{.lock = kLock, .holder = holder, .token = {}, .received = clock->boot_now()};
    auto released = co_await locks->release(std::move(release));
    if (!released || *released) co_return i;
  }
  co_return times;
}

// Every hand-over needs a wake-up: one that is lost would keep everybody waiting.
TEST_F(WaitLinesTest, SafetyR22_AHundredThousandHandOversLoseNoWakeUp) {
  constexpr int kWaiters = 8;
  constexpr int kTurns = 100'000 / kWaiters;
  Seen seen;
  std::vector<BackgroundCall<int>> calls;
  calls.reserve(kWaiters);
  for (int i = 0; i < kWaiters; ++i) {
    auto executor = threads.executor(static_cast<std::size_t>(i) % threads.size());
    calls.emplace_back(executor, take_turns(&locks, &clock, "instance-" + std::to_string(i), kTurns, &seen));
  }
  int granted = 0;
  while (seen.granted < kWaiters * kTurns) {
    granted = seen.granted;
    ASSERT_TRUE(test::eventually([&] { return seen.granted > granted; })) << "after " << granted;
  }
  for (auto& call : calls) EXPECT_EQ(call.result(), kTurns);
  EXPECT_EQ(seen.most_inside, 1);
  EXPECT_EQ(seen.tokens_fell, 0);
}

}  // namespace
}  // namespace sharedlock
