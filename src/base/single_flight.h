#pragma once

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/answer_slot.h"
#include "base/clock.h"

namespace sharedlock {

// Single-flight: callers that arrive during a run wait for it and get a copy of its result, which is a Result. No
// caller waits past its own deadline. A run that fails after its caller's deadline decides nothing for waiters with
// time left: the one with the latest deadline runs the work again. Thread-safe. The clock must outlive it, and it must
// outlive its calls.
template <class T>
class SingleFlight {
 public:
  explicit SingleFlight(Clock& clock) : clock_(clock) {}

  // `work()` returns the Task<T> that does the work and ends by `deadline`. Nothing: another caller's run was still
  // under way by then.
  template <class Work>
  Task<std::optional<T>> join(Work work, Deadline deadline) {
    auto executor = co_await asio::this_coro::executor;
    auto waiter = std::make_shared<Waiter>(executor, deadline);
    if (!begin(waiter)) {
      co_await waiter->wait(clock_);
      waiter->waited();
      leave(waiter);
      if (waiter->answer) co_return std::move(waiter->answer);
      if (!waiter->runs) co_return std::nullopt;
    }
    T result = co_await work();
    end(result, deadline);
    co_return result;
  }

 private:
  struct Waiter : AnswerSlot<T> {
    using AnswerSlot<T>::AnswerSlot;

    bool runs = false;  // it is to do the work itself: it is woken without an answer
  };

  // True: the caller runs the work. False: it waits.
  bool begin(const std::shared_ptr<Waiter>& waiter) {
    std::scoped_lock lock(mutex_);
    if (running_) waiting_.push_back(waiter);
    return !std::exchange(running_, true);
  }

  // After this, end() no longer touches the waiter.
  void leave(const std::shared_ptr<Waiter>& waiter) {
    std::scoped_lock lock(mutex_);
    std::erase(waiting_, waiter);
  }

  void end(const T& result, Deadline deadline) {
    BootTime now = clock_.boot_now();
    std::scoped_lock lock(mutex_);
    if (!result.has_value() && deadline.at <= now && hand_over(now)) return;
    running_ = false;
    for (const auto& waiter : waiting_) {
      waiter->answer = result;
      post_wake(waiter);
    }
    waiting_.clear();
  }

  bool hand_over(BootTime now) {
    auto has_less = [](const auto& a, const auto& b) { return a->deadline.at < b->deadline.at; };
    auto next = std::ranges::max_element(waiting_, has_less);
    if (next == waiting_.end() || (*next)->deadline.at <= now) return false;
    (*next)->runs = true;
    post_wake(*next);
    waiting_.erase(next);
    return true;
  }

  Clock& clock_;
  std::mutex mutex_;
  bool running_ = false;
  std::vector<std::shared_ptr<Waiter>> waiting_;
};

}  // namespace sharedlock
