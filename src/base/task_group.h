#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "base/task.h"

namespace sharedlock {

// Owns background coroutines: each is spawned here, and the group's owner joins it before it destroys the things that
// the coroutines use. Thread-safe. An exception that escapes a spawned task ends the process: nothing is left to handle
// it.
class TaskGroup {
 public:
  TaskGroup() = default;
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();  // joins

  // Starts `task` on `executor`; its io_context must run until the task has ended.
  void spawn(Executor executor, Task<void> task);

  // Blocks until every spawned task has ended. Never on an I/O thread, which the tasks need.
  void join();

  // The number of tasks that have not ended yet.
  std::size_t size() const;

 private:
  void ended();

  mutable std::mutex mutex_;
  std::condition_variable all_ended_;
  std::size_t running_ = 0;
};

}  // namespace sharedlock
