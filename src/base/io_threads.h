#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include "base/task.h"

namespace sharedlock {

// N threads, each running an io_context of its own. A coroutine stays on the thread on which it was spawned.
class IoThreads {
 public:
  // Starts the threads at once; `count` >= 1. Throws std::system_error when the system can't create another thread.
  explicit IoThreads(std::size_t count);
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;
  ~IoThreads();  // stop()

  std::size_t size() const { return threads_.size(); }
  Executor executor(std::size_t index) { return threads_[index]->context.get_executor(); }

  // Ends the threads; work that has not run by then never runs, so join task groups first. Idempotent; not from an I/O
  // thread.
  void stop();

 private:
  struct IoThread {
    asio::io_context context{1};
    asio::executor_work_guard<Executor> work{context.get_executor()};
    std::thread thread;
  };

  void start_one(std::size_t index);

  std::vector<std::unique_ptr<IoThread>> threads_;
};

}  // namespace sharedlock
