#pragma once

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>

#include "base/task.h"

namespace sharedlock {

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
