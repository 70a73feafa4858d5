#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/task.h"

namespace sharedlock {

// How the sync of a batch ended.
enum class CommitFate { open, durable, lost };

// A coroutine that waits for a batch: type-erased, since Asio's handlers can only be moved.
class CommitWaiter
    : public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
 public:
  CommitWaiter(Executor executor, Deadline deadline)
      : executor_(std::move(executor)), work_(executor_), deadline_(deadline) {}
  CommitWaiter(const CommitWaiter&) = delete;
  CommitWaiter& operator=(const CommitWaiter&) = delete;
  virtual ~CommitWaiter() = default;

  virtual void resume(CommitFate fate) = 0;  // once, on its executor

  const Executor& executor() const { return executor_; }
  BootTime give_up_at() const { return deadline_.at; }

 private:
  Executor executor_;
  asio::executor_work_guard<Executor> work_;  // keeps its io_context running meanwhile
  Deadline deadline_;
};

// The waiters for one batch, ordered by deadline, so that adding a waiter and finding the late ones stay fast when
// there are many. Not thread-safe.
class CommitWaiters {
 public:
  CommitWaiters() = default;
  CommitWaiters(CommitWaiters&&) noexcept = default;
  CommitWaiters& operator=(CommitWaiters&&) noexcept = default;  // only into an empty one
  ~CommitWaiters();

  void add(std::unique_ptr<CommitWaiter> waiter);

  // The earliest deadline; BootTime::max() when there are no waiters.
  BootTime first_deadline() const;

  // Removes and returns the waiters past their deadlines, earliest first, at most `most` of them.
  CommitWaiters take_late(BootTime now, std::size_t most);

  // Resumes all waiters, each on its executor, with one post per executor. Leaves none.
  void resume(CommitFate fate);

 private:
  struct DeadlineOf {
    using type = BootTime;
    type operator()(const CommitWaiter& waiter) const { return waiter.give_up_at(); }
  };
  boost::intrusive::multiset<CommitWaiter, boost::intrusive::key_of_value<DeadlineOf>,
                             boost::intrusive::constant_time_size<false>>
      by_deadline_;
};

}  // namespace sharedlock
