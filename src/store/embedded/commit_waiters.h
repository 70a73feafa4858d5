#pragma once

#include <boost/intrusive/set.hpp>
#include <boost/intrusive/slist.hpp>
#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/task.h"

namespace sharedlock {

// How the sync of a batch ended.
enum class CommitFate { open, durable, lost };

// A coroutine that waits for a batch. It lives in the frame that waits. Nothing can end that frame until resume() or
// drop(), since this holds what would resume it. The owner of its run ensures that the io_context lives until then: it
// joins the run first, and the io_context runs until the run ends.
class CommitWaiter
    : public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>,
      public boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
 public:
  explicit CommitWaiter(Deadline deadline) : deadline_(deadline) {}
  CommitWaiter(const CommitWaiter&) = delete;
  CommitWaiter& operator=(const CommitWaiter&) = delete;

  // Before it is added to waiters, on its executor.
  void begin(TaskRun& run, std::coroutine_handle<> waiting) { resumption_.emplace(run, waiting); }

  // The coroutine goes on, and this may be gone afterwards. Once, on its executor.
  void resume(CommitFate fate) {
    fate_ = fate;
    TaskResumption resumption = *std::move(resumption_);
    resumption.resume();
  }

  // The coroutine never goes on, and its run is destroyed: this may be gone afterwards. Instead of resume(), on any
  // thread.
  void drop() { const TaskResumption dropped = *std::move(resumption_); }

  // What it waited for; what is known already need not be waited for.
  CommitFate fate() const { return fate_; }
  void set_fate(CommitFate fate) { fate_ = fate; }

  // After begin().
  Executor executor() const { return resumption_->executor(); }
  BootTime give_up_at() const { return deadline_.at; }

 private:
  Deadline deadline_;
  CommitFate fate_ = CommitFate::open;
  std::optional<TaskResumption> resumption_;
};

// The waiters for one batch, ordered by deadline, so that adding a waiter and finding the late ones stay fast when
// there are many. Drops those that are left. Not thread-safe.
class CommitWaiters {
 public:
  CommitWaiters() = default;
  CommitWaiters(CommitWaiters&&) noexcept = default;
  CommitWaiters& operator=(CommitWaiters&&) noexcept = default;  // only into an empty one
  ~CommitWaiters();

  void add(CommitWaiter& waiter);

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
