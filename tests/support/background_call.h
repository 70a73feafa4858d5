#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/task.h"
#include "support/eventually.h"
#include "support/run_task.h"

namespace sharedlock::test {

// A task that runs on an I/O thread, which must outlast it. What it uses must outlive it: take its result() first.
template <class T>
class BackgroundCall {
 public:
  BackgroundCall(Executor executor, Task<T> task) : state_(std::make_shared<State>()) {
    spawn(executor, run_into(std::move(task), &state_->result), [state = state_](std::exception_ptr) {
      state->thread = std::this_thread::get_id();
      state->ended = true;
    });
  }

  bool has_ended() const { return state_->ended; }

  // Waits for the end; throws when it does not come, or came by an exception.
  T result() const {
    if (!eventually([this] { return has_ended(); })) throw std::logic_error("the call does not end");
    return state_->result.value();
  }

  // On which thread it ended.
  std::thread::id thread() const {
    result();
    return state_->thread;
  }

 private:
  struct State {
    std::optional<T> result;
    std::thread::id thread;
    std::atomic<bool> ended = false;
  };
  std::shared_ptr<State> state_;
};

}  // namespace sharedlock::test
