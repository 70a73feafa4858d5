#pragma once

#include <algorithm>
#include <cstddef>

namespace sharedlock::http {

// Decides when to give freed memory back to the kernel: when less than half of the peak since the last time is needed,
// and the peak was high. So memory that is about to be needed again is kept, and small fluctuations of load cost
// nothing. Not thread-safe.
class MemoryReturn {
 public:
  // Call it now and then, with the approximate number of bytes needed now, and the peak since the last call.
  bool is_due(std::size_t needed, std::size_t most_since) {
    most_ = std::max(most_, most_since);
    if (most_ < kMuch || needed > most_ / 2) return false;
    most_ = needed;
    return true;
  }

 private:
  static constexpr std::size_t kMuch = std::size_t{16} << 20;

  std::size_t most_ = 0;
};

}  // namespace sharedlock::http
