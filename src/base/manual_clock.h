#pragma once

#include <mutex>

#include "base/clock.h"

namespace sharedlock {

// A clock that stands still until a test moves it. Both time lines move together unless set_wall() moves one apart.
// Begins at boot time 1000 s and wall time 2025-01-01T00:00:00Z. Thread-safe.
class ManualClock final : public Clock {
 public:
  BootTime boot_now() const override;
  WallTime wall_now() const override;
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake, BootTime until) override;

  // Lets `span` pass on both time lines. Background threads notice within a few real milliseconds.
  void advance(std::chrono::nanoseconds span);

  // Steps the wall clock alone, as an operator or NTP does.
  void set_wall(WallTime now);

 private:
  mutable std::mutex mutex_;
  BootTime boot_{std::chrono::seconds(1000)};
  WallTime wall_{std::chrono::seconds(1'735'689'600)};
};

}  // namespace sharedlock
