#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sharedlock {

// The chain of function calls at one moment, innermost first, as addresses inside the calls.
class Backtrace {
 public:
  static constexpr std::size_t kMost = 40;

  // Of the calling thread. Safe in a signal handler; there it includes the interrupted code.
  static Backtrace here();

  const std::uintptr_t* begin() const { return frames_.data(); }
  const std::uintptr_t* end() const { return frames_.data() + count_; }
  std::size_t size() const { return count_; }

  // Adds a frame at the outer end, unless it is full.
  void add(std::uintptr_t address) {
    if (count_ < kMost) frames_[count_++] = address;
  }

 private:
  std::array<std::uintptr_t, kMost> frames_{};
  std::size_t count_ = 0;
};

}  // namespace sharedlock
