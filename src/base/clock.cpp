#include "base/clock.h"

#include <algorithm>
#include <ctime>

namespace sharedlock {

namespace {

std::chrono::nanoseconds read_clock(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

BootTime saturating_add(BootTime from, std::chrono::seconds span) {
  auto room = std::chrono::floor<std::chrono::seconds>(BootTime::max() - std::max(from, BootTime{}));
  return span >= room ? BootTime::max() : from + span;
}

BootTime SystemClock::boot_now() const {
  return BootTime(read_clock(CLOCK_BOOTTIME));
}

WallTime SystemClock::wall_now() const {
  return WallTime(read_clock(CLOCK_REALTIME));
}

void SystemClock::wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake, BootTime until) {
  // A condition variable's clock stands still while the machine sleeps, so no wait exceeds a second: that bounds how
  // late we are after waking up.
  constexpr std::chrono::nanoseconds kLongest = std::chrono::seconds(1);
  auto now = boot_now();
  if (until <= now) return;
  wake.wait_for(lock, std::min(until - now, kLongest));
}

}  // namespace sharedlock
