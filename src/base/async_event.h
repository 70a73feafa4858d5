#pragma once

#include <algorithm>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/use_task.h"

namespace sharedlock {

// How long a wait with this deadline may last, for timers: rounded up, and no more than a day.
inline std::chrono::milliseconds time_left(const Clock& clock, Deadline deadline) {
  BootTime now = clock.boot_now();
  if (deadline.at <= now) return std::chrono::milliseconds(0);
  return std::min<std::chrono::milliseconds>(std::chrono::ceil<std::chrono::milliseconds>(deadline.at - now),
                                             std::chrono::hours(24));
}

// Lets one coroutine wait until others, on the same executor, raise the signal. A signal raised before the wait is not
// lost. Not thread-safe.
class AsyncEvent {
 public:
  explicit AsyncEvent(const Executor& executor) : timer_(executor) {}

  // Await the result at once. The wait ends when raise() is called, if it was called since the last wait, or when
  // `longest` has passed.
  auto wait(std::chrono::milliseconds longest = std::chrono::hours(24)) {
    timer_.expires_after(std::exchange(raised_, false) ? std::chrono::milliseconds(0) : longest);
    return timer_.async_wait(error_to(ended_));
  }

  void raise() {
    bool somebody_waits = timer_.cancel() > 0;
    raised_ = !somebody_waits;
  }

 private:
  using Timer =
      asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

  Timer timer_;
  boost::system::error_code ended_;  // by time or by raise(): it makes no difference here
  bool raised_ = false;
};

}  // namespace sharedlock
