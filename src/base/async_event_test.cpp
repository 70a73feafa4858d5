#include "base/async_event.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <vector>

#include "support/run_task.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

enum class Raised { before, meanwhile, twice };

// How long a wait takes that is ended by such a raise, and then a wait of at most 20 ms that is never ended.
Task<std::vector<steady_clock::duration>> two_waits(Raised when) {
  auto executor = co_await asio::this_coro::executor;
  AsyncEvent signal(executor);
  if (when != Raised::meanwhile) signal.raise();
  if (when == Raised::twice) signal.raise();
  if (when == Raised::meanwhile) asio::post(executor, [&signal] { signal.raise(); });
  auto begun = steady_clock::now();
  co_await signal.wait();
  auto between = steady_clock::now();
  co_await signal.wait(20ms);
  std::vector<steady_clock::duration> took;
  took.push_back(between - begun);
  took.push_back(steady_clock::now() - between);
  co_return took;
}

TEST(AsyncEvent, EndsOneWait) {
  for (Raised when : {Raised::before, Raised::meanwhile, Raised::twice}) {
    auto took = run_task(two_waits(when));
    EXPECT_LT(took[0], 10s) << static_cast<int>(when);
    EXPECT_GE(took[1], 20ms) << static_cast<int>(when);
  }
}

}  // namespace
}  // namespace sharedlock::test
