#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/clock.h"

namespace sharedlock::test {

// The kernel's clocks, as seen by a machine that is paused now and then with all of its clocks. Thread-safe.
class PausableClock final : public Clock {
 public:
  BootTime boot_now() const override { return std::min(real_.boot_now() - lag_.load(), stands_at_.load()); }
  WallTime wall_now() const override { return real_.wall_now() - (real_.boot_now() - boot_now()); }
  // Lets waiting threads look again soon.
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake, BootTime) override {
    wake.wait_for(lock, std::chrono::milliseconds(5));
  }

  void pause() { stands_at_ = boot_now(); }
  void resume() {
    lag_ = real_.boot_now() - stands_at_.load();
    stands_at_ = BootTime::max();
  }

 private:
  SystemClock real_;
  std::atomic<std::chrono::nanoseconds> lag_{};
  std::atomic<BootTime> stands_at_{BootTime::max()};
};

}  // namespace sharedlock::test
