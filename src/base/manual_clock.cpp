#include "base/manual_clock.h"

namespace sharedlock {

BootTime ManualClock::boot_now() const {
  std::scoped_lock lock(mutex_);
  return boot_;
}

WallTime ManualClock::wall_now() const {
  std::scoped_lock lock(mutex_);
  return wall_;
}

void ManualClock::wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake, BootTime until) {
  // Polling every few milliseconds is simpler than waking every waiter from advance(), and can't miss one.
  constexpr auto kLookAgain = std::chrono::milliseconds(2);
  if (boot_now() < until) wake.wait_for(lock, kLookAgain);
}

void ManualClock::advance(std::chrono::nanoseconds span) {
  std::scoped_lock lock(mutex_);
  boot_ += span;
  wall_ += span;
}

void ManualClock::set_wall(WallTime now) {
  std::scoped_lock lock(mutex_);
  wall_ = now;
}

}  // namespace sharedlock
