#pragma once

#include <algorithm>
#include <cstddef>

namespace sharedlock::http {

// Says when it is worth while to give freed memory back to the kernel: when less than half is needed of what was needed
// at most since the last time, and that is much. So nothing is given back that is about to be needed again, and a load
// that only goes up and down a little costs nothing. Not thread-safe.
class MemoryReturn {
 public:
  // Asked now and then, with about how many bytes are needed now, and were at most since this was last asked.
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
