#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "sharedlock/boot_clock.h"

namespace sharedlock::client {

// The arithmetic of safety (R7), without a clock.
using TimePoint = BootClock::time_point;

// For clocks that run differently from the server's.
inline BootClock::duration margin_of(std::chrono::seconds ttl) {
  return std::min<BootClock::duration>(BootClock::duration(ttl) / 10, std::chrono::seconds(1));
}

// Until when a holder is safe after a grant or renewal for `ttl` by a request sent at `sent`.
inline TimePoint safe_until(TimePoint sent, std::chrono::seconds ttl) {
  return sent + ttl - margin_of(ttl);
}

// After a renewal without an answer: it may have been done, and then counts for no more than was asked for.
inline TimePoint safe_after_unknown(TimePoint safe, TimePoint sent, std::chrono::seconds asked) {
  return std::min(safe, safe_until(sent, asked));
}

// False if the answer to a grant took so long that it promises too little: it counts only after one renewal.
inline bool counts_at_once(TimePoint sent, std::chrono::seconds ttl, TimePoint now) {
  return (now - sent) * 4 <= BootClock::duration(ttl);
}

// Pauses between tries: each twice as long as the previous one, up to a second; randomly between half of that and all
// of it, so that clients cut off together don't come back together.
class Backoff {
 public:
  // `random`: any 64 bits.
  std::chrono::milliseconds next(std::uint64_t random) {
    constexpr std::chrono::milliseconds kLongest{1000};
    auto half = pause_ / 2;
    auto drawn = half + std::chrono::milliseconds(random % static_cast<std::uint64_t>(half.count() + 1));
    pause_ = std::min(pause_ * 2, kLongest);
    return drawn;
  }

 private:
  std::chrono::milliseconds pause_{40};
};

// When to renew after such a grant or renewal: at a third of its ttl, or a little earlier at random, so that locks
// taken together are not renewed together.
inline TimePoint renewal_due(TimePoint sent, std::chrono::seconds ttl, std::uint64_t random) {
  auto third = BootClock::duration(ttl) / 3;
  auto earlier = third / 10 * static_cast<std::int64_t>(random % 1001) / 1000;
  return sent + third - earlier;
}

}  // namespace sharedlock::client
