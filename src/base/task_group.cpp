#include "base/task_group.h"

#include <exception>

#include "base/crash_report.h"

namespace sharedlock {

TaskGroup::~TaskGroup() {
  join();
}

void TaskGroup::spawn(Executor executor, Task<void> task) {
  const void* begun_at = __builtin_return_address(0);
  {
    std::scoped_lock lock(mutex_);
    ++running_;
  }
  sharedlock::spawn(executor, std::move(task), [this, begun_at](std::exception_ptr escaped) {
    if (escaped) end_for_escaped(escaped, begun_at);
    ended();
  });
}

void TaskGroup::join() {
  std::unique_lock lock(mutex_);
  all_ended_.wait(lock, [this] { return running_ == 0; });
}

std::size_t TaskGroup::size() const {
  std::scoped_lock lock(mutex_);
  return running_;
}

void TaskGroup::ended() {
  // Notified under the lock: once join() sees zero, this object may be gone.
  std::scoped_lock lock(mutex_);
  if (--running_ == 0) all_ended_.notify_all();
}

}  // namespace sharedlock
