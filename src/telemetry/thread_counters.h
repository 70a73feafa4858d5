#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sharedlock {

// A counter that one thread writes and others may read. A load and a store, since a locked instruction costs some
// twenty times as much.
class Counter {
 public:
  void add(std::uint64_t more) {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// The calling thread's own number, from 0, assigned on first use.
inline std::size_t thread_number() {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t number = next++;
  return number;
}

// `N` counters for code that does not know its thread. Each of the first threads of the process has a set of its own,
// written as in Counter; all further ones share a set, with locked instructions. Thread-safe.
template <std::size_t N>
class ThreadCounters {
 public:
  void add(std::size_t which, std::uint64_t more = 1) {
    std::size_t number = thread_number();
    if (number < kThreads) {
      own_[number].counters[which].add(more);
    } else {
      shared_[which].fetch_add(more, std::memory_order_relaxed);
    }
  }

  std::uint64_t sum(std::size_t which) const {
    std::uint64_t sum = shared_[which].load(std::memory_order_relaxed);
    for (const Set& set : own_) sum += set.counters[which].value();
    return sum;
  }

 private:
  static constexpr std::size_t kThreads = 32;
  struct alignas(64) Set {
    std::array<Counter, N> counters{};
  };

  std::array<Set, kThreads> own_{};
  std::array<std::atomic<std::uint64_t>, N> shared_{};
};

}  // namespace sharedlock
