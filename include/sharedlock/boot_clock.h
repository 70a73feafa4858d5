#pragma once

#include <chrono>

#include "sharedlock/error.h"

namespace sharedlock::client {

// CLOCK_BOOTTIME, by which the safety of a lock is counted: nobody sets it, and it goes on while the machine sleeps,
// when std::chrono::steady_clock stands still.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  SHAREDLOCK_API static time_point now() noexcept;
};

}  // namespace sharedlock::client
