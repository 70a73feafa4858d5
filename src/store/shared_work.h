#pragma once

#include <boost/asio/this_coro.hpp>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/waiting.h"

namespace sharedlock {

// Work of which one run is enough for everybody who asks for it meanwhile: the first does it, the others wait and are
// given a copy of its result. Thread-safe.
template <class T>
class SharedWork {
 public:
  // `work()` returns the Task<T> that does it; the work must bound its own time.
  template <class Work>
  Task<T> join(Work work) {
    auto executor = co_await asio::this_coro::executor;
    bool mine = begin();
    if (!mine) {
      auto enlist = [this](WaitingPtr<std::optional<T>> waiting) { this->enlist(std::move(waiting)); };
      auto shared = co_await wait_on<std::optional<T>>(executor, enlist);
      if (shared) co_return *std::move(shared);
      mine = begin();  // it ended just before; whoever is in front now bounds the time of both
    }
    T result = co_await work();
    if (mine) end(result);
    co_return result;
  }

 private:
  bool begin() {
    std::scoped_lock lock(mutex_);
    return !std::exchange(running_, true);
  }

  void enlist(WaitingPtr<std::optional<T>> waiting) {
    {
      std::scoped_lock lock(mutex_);
      if (running_) {
        waiting_.push_back(std::move(waiting));
        return;
      }
    }
    waiting->resume(std::nullopt);
  }

  void end(const T& result) {
    std::vector<WaitingPtr<std::optional<T>>> waiting;
    {
      std::scoped_lock lock(mutex_);
      running_ = false;
      waiting.swap(waiting_);
    }
    for (auto& one : waiting) one->resume(result);
  }

  std::mutex mutex_;
  bool running_ = false;
  std::vector<WaitingPtr<std::optional<T>>> waiting_;
};

}  // namespace sharedlock
