#pragma once

#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "base/async_event.h"
#include "base/clock.h"
#include "base/task.h"

namespace sharedlock {

// Where a caller waits, until its deadline at the latest, for an answer from another thread. The caller and those that
// may answer share it by shared_ptr. A mutex of theirs guards `answer`: to answer is to set it and to wake the caller
// while holding that mutex. When its wait is over, the caller takes the mutex before it looks for an answer, and
// ensures that nothing wakes it from then on. So a caller that is woken has not left, and its executor is alive.
template <class T>
struct AnswerSlot {
  AnswerSlot(const Executor& on, Deadline until) : executor(on), deadline(until), called_(std::in_place, on) {}

  // For the caller, once, on its executor; to be awaited at once. Ends when it is woken, or was woken before, or at the
  // deadline.
  auto wait(const Clock& clock) { return called_->wait(time_left(clock, deadline)); }

  // After wait(), on the executor: the slot holds nothing that needs the executor any more, so it may outlive that.
  void waited() { called_.reset(); }

  // On its executor. Does nothing once the wait is over.
  void wake() {
    if (called_) called_->raise();
  }

  const Executor executor;
  const Deadline deadline;
  std::optional<T> answer;

 private:
  std::optional<AsyncEvent> called_;  // used only on the executor
};

// Wakes the caller from any thread, with the mutex held.
template <class Slot>
void post_wake(const std::shared_ptr<Slot>& slot) {
  asio::post(slot->executor, [slot] { slot->wake(); });
}

}  // namespace sharedlock
