#pragma once

#include <atomic>
#include <cstddef>

namespace sharedlock {

// A limited number of places, shared by all threads. Thread-safe.
class Capacity {
 public:
  explicit Capacity(std::size_t limit) : limit_(limit) {}  // 0: no limit, and nothing is counted

  // False when all places are taken; after true, call leave() once.
  bool enter() {
    if (limit_ == 0) return true;
    if (count_.fetch_add(1, std::memory_order_relaxed) < limit_) return true;
    count_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }

  // Enters even beyond the limit: takes over from a caller that is about to leave.
  void enter_instead() {
    if (limit_ > 0) count_.fetch_add(1, std::memory_order_relaxed);
  }

  void leave() {
    if (limit_ > 0) count_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  const std::size_t limit_;
  std::atomic<std::size_t> count_ = 0;
};

// Holds one place while it lives, if one was wanted and one was free.
class CapacityPlace {
 public:
  CapacityPlace(Capacity& of, bool wanted) : of_(wanted && of.enter() ? &of : nullptr) {}
  CapacityPlace(const CapacityPlace&) = delete;
  CapacityPlace& operator=(const CapacityPlace&) = delete;
  ~CapacityPlace() {
    if (of_ != nullptr) of_->leave();
  }

  bool is_taken() const { return of_ != nullptr; }

 private:
  Capacity* of_;
};

}  // namespace sharedlock
