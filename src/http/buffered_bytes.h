#pragma once

#include <atomic>
#include <cstddef>

namespace sharedlock::http {

// What the requests of all connections take that are larger than a small one, until they are answered. Thread-safe.
class BufferedBytes {
 public:
  explicit BufferedBytes(std::size_t limit) : limit_(limit) {}  // 0: no limit

  // False where there are now more than may be.
  bool add(std::size_t bytes) {
    std::size_t now = count_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (now > most_.load(std::memory_order_relaxed)) most_.store(now, std::memory_order_relaxed);
    return limit_ == 0 || now <= limit_;
  }
  void remove(std::size_t bytes) { count_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::size_t count() const { return count_.load(std::memory_order_relaxed); }

  // About how many there were at most since this was last asked.
  std::size_t take_most() { return most_.exchange(count(), std::memory_order_relaxed); }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> count_ = 0;
  std::atomic<std::size_t> most_ = 0;
};

}  // namespace sharedlock::http
