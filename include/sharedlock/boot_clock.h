#pragma once

#include <chrono>

#include "sharedlock/error.h"

namespace sharedlock::client {

// The clock by which the safety of a lock is counted: Linux's CLOCK_BOOTTIME, the time since the machine was started.
// Nobody can set it, and it goes on while the machine is suspended, when std::chrono::steady_clock stands still.
//
// Points of time of this clock mean nothing on another machine, nor after a restart of this one: neither store them nor
// send them. They can't be compared with those of other clocks either; the compiler refuses it.
//
// A clock as std::chrono wants one. Functions of the standard library that wait until one of its time points count by
// other clocks in between, and may return late when the machine was suspended: wait in short steps, and look again.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  // The time now. Cheap; can't fail. Thread-safe.
  SHAREDLOCK_API static time_point now() noexcept;
};

}  // namespace sharedlock::client
