#pragma once

#include <chrono>
#include <cstdint>

namespace sharedlock::bench {

using TimePoint = std::chrono::steady_clock::time_point;

// When requests must start for a given rate, whatever the server does (an open loop). The requests are dealt to the
// threads in turn: this is the part of one of them, and its request 0 is its first.
class RateSchedule {
 public:
  // `per_second` > 0 requests per second over all `threads`; `thread` < `threads` is this one.
  RateSchedule(TimePoint start, double per_second, unsigned thread, unsigned threads)
      : start_(start), interval_(1e9 / per_second), thread_(thread), threads_(threads) {}

  TimePoint at(std::uint64_t request) const {
    double place = static_cast<double>(request) * threads_ + thread_;
    return start_ + std::chrono::nanoseconds(static_cast<std::int64_t>(place * interval_));
  }

 private:
  TimePoint start_;
  double interval_;  // nanoseconds
  unsigned thread_;
  unsigned threads_;
};

}  // namespace sharedlock::bench
