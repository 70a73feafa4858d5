#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/clock.h"

namespace sharedlock::test {

// The same time as another clock's, but the wall clock is off. Thread-safe. The other must outlive it.
class SkewedClock final : public Clock {
 public:
  SkewedClock(Clock& right, std::chrono::nanoseconds skew) : right_(right), skew_(skew) {}

  BootTime boot_now() const override { return right_.boot_now(); }
  WallTime wall_now() const override { return right_.wall_now() + skew_; }
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake, BootTime until) override {
    right_.wait_until(lock, wake, until);
  }

 private:
  Clock& right_;
  const std::chrono::nanoseconds skew_;
};

}  // namespace sharedlock::test
