#pragma once

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/signal.h"

namespace sharedlock {

// Single-flight: callers that arrive during a run wait for it and get a copy of its result, which is a Result. No
// caller waits past its own deadline. A run that fails after its caller's deadline says nothing to waiters with time
// left: the one with the latest deadline runs the work again. Thread-safe. The clock must outlive it, and it must
// outlive its calls.
template <class T>
class SharedWork {
 public:
  explicit SharedWork(Clock& clock) : clock_(clock) {}

  // `work()` returns the Task<T> that does the work and that ends by `deadline`. Nothing: by then another caller's run
  // was still under way.
  template <class Work>
  Task<std::optional<T>> join(Work work, Deadline deadline) {
    auto executor = co_await asio::this_coro::executor;
    auto seat = std::make_shared<Seat>(executor, deadline);
    if (!begin(seat)) {
      co_await seat->called.wait(time_left(clock_, deadline));
      leave(seat);
      if (seat->result) co_return std::move(seat->result);
      if (!seat->runs) co_return std::nullopt;
    }
    T result = co_await work();
    end(result, deadline);
    co_return result;
  }

 private:
  struct Seat {
    Seat(Executor on, Deadline until) : executor(on), deadline(until), called(on) {}

    Executor executor;
    Deadline deadline;
    Signal called;  // wakes the waiting caller, on its executor
    bool runs = false;
    std::optional<T> result;
  };

  // True: the caller runs the work. False: its seat is in the queue.
  bool begin(const std::shared_ptr<Seat>& seat) {
    std::scoped_lock lock(mutex_);
    if (running_) waiting_.push_back(seat);
    return !std::exchange(running_, true);
  }

  // Afterwards end() no longer touches the seat.
  void leave(const std::shared_ptr<Seat>& seat) {
    std::scoped_lock lock(mutex_);
    std::erase(waiting_, seat);
  }

  void end(const T& result, Deadline deadline) {
    BootTime now = clock_.boot_now();
    std::scoped_lock lock(mutex_);
    if (!result.has_value() && deadline.at <= now && hand_over(now)) return;
    running_ = false;
    for (const auto& seat : waiting_) {
      seat->result = result;
      call(seat);
    }
    waiting_.clear();
  }

  bool hand_over(BootTime now) {
    auto has_less = [](const auto& a, const auto& b) { return a->deadline.at < b->deadline.at; };
    auto next = std::ranges::max_element(waiting_, has_less);
    if (next == waiting_.end() || (*next)->deadline.at <= now) return false;
    (*next)->runs = true;
    call(*next);
    waiting_.erase(next);
    return true;
  }

  // Called with the mutex held: the waiter can't leave() meanwhile, so its executor is alive.
  static void call(const std::shared_ptr<Seat>& seat) {
    asio::post(seat->executor, [seat] { seat->called.raise(); });
  }

  Clock& clock_;
  std::mutex mutex_;
  bool running_ = false;
  std::vector<std::shared_ptr<Seat>> waiting_;
};

}  // namespace sharedlock
