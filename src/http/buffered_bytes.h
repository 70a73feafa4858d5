#pragma once

#include <atomic>
#include <cstddef>

namespace sharedlock::http {

// The memory taken by larger requests of all connections, until they are answered. Thread-safe.
class BufferedBytes {
 public:
  explicit BufferedBytes(std::size_t limit) : limit_(limit) {}  // 0: no limit

  // False if the total now exceeds the limit.
  bool add(std::size_t bytes) {
    std::size_t now = count_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (now > most_.load(std::memory_order_relaxed)) most_.store(now, std::memory_order_relaxed);
    return limit_ == 0 || now <= limit_;
  }
  void remove(std::size_t bytes) { count_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::size_t count() const { return count_.load(std::memory_order_relaxed); }

  // The approximate maximum since the last call.
  std::size_t take_most() { return most_.exchange(count(), std::memory_order_relaxed); }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> count_ = 0;
  std::atomic<std::size_t> most_ = 0;
};

}  // namespace sharedlock::http
