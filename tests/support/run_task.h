#pragma once

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/task.h"

namespace sharedlock::test {

template <class T>
Task<void> run_into(Task<T> task, std::optional<T>* result) {
  result->emplace(co_await std::move(task));
}

// Runs `task` to its end on an io_context of its own, on the calling thread; throws on what it throws.
inline void run_task(Task<void> task) {
  asio::io_context context(1);
  bool ended = false;
  std::exception_ptr escaped;
  spawn(context.get_executor(), std::move(task), [&](std::exception_ptr exception) {
    ended = true;
    escaped = exception;
  });
  context.run();
  if (escaped) std::rethrow_exception(escaped);
  if (!ended) throw std::logic_error("the task waits for something that never comes");
}

// The same for a task with a result, which is returned.
template <class T>
T run_task(Task<T> task) {
  std::optional<T> result;
  run_task(run_into(std::move(task), &result));
  return *std::move(result);
}

}  // namespace sharedlock::test
