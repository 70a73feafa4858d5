#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/task.h"

namespace sharedlock {

// What became of a batch that is to be on disk.
enum class CommitFate { open, durable, lost };

// A coroutine that waits for a batch: type-erased, since what Asio hands in can only be moved.
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
  asio::executor_work_guard<Executor> work_;  // its io_context must not run dry meanwhile
  Deadline deadline_;
};

// Those who wait for one batch, by deadline, so that neither joining nor finding who is late takes longer when many
// wait. Not thread-safe.
class CommitWaiters {
 public:
  CommitWaiters() = default;
  CommitWaiters(CommitWaiters&&) noexcept = default;
  CommitWaiters& operator=(CommitWaiters&&) noexcept = default;  // into an empty one
  ~CommitWaiters();

  void add(std::unique_ptr<CommitWaiter> waiter);

  // When the first of them gives up; the end of time when nobody waits.
  BootTime first_deadline() const;

  // Takes out those whose deadline has passed, at most `most`, the earliest first.
  CommitWaiters take_late(BootTime now, std::size_t most);

  // Resumes them all, each on its executor, by one post to each executor; nobody is left.
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
