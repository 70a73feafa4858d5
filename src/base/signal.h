#pragma once

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>

#include "base/clock.h"
#include "base/task.h"

namespace sharedlock {

// How long whoever has this deadline may wait, for timers: rounded up, and no more than a day.
inline std::chrono::milliseconds time_left(const Clock& clock, Deadline deadline) {
  BootTime now = clock.boot_now();
  if (deadline.at <= now) return std::chrono::milliseconds(0);
  return std::min<std::chrono::milliseconds>(std::chrono::ceil<std::chrono::milliseconds>(deadline.at - now),
                                             std::chrono::hours(24));
}

// Lets one coroutine wait until others, on the same executor, have something for it. A signal raised before the wait is
// not lost. Not thread-safe.
class Signal {
 public:
  explicit Signal(const Executor& executor) : timer_(executor) {}

  // Ends when raise() is called, or was since the last wait, or when `longest` has passed.
  Task<void> wait(std::chrono::milliseconds longest = std::chrono::hours(24)) {
    if (!raised_) {
      timer_.expires_after(longest);
      boost::system::error_code raised;
      co_await timer_.async_wait(asio::redirect_error(use_task, raised));
    }
    raised_ = false;
  }

  void raise() {
    raised_ = true;
    timer_.cancel();
  }

 private:
  using Timer =
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

  Timer timer_;
  bool raised_ = false;
};

}  // namespace sharedlock
