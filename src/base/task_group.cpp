#include "base/task_group.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>

namespace sharedlock {

TaskGroup::~TaskGroup() {
  join();
}

void TaskGroup::spawn(Executor executor, Task<void> task) {
  {
    std::scoped_lock lock(mutex_);
    ++running_;
  }
  asio::co_spawn(executor, std::move(task), [this](std::exception_ptr escaped) {
    if (escaped) std::rethrow_exception(escaped);
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
