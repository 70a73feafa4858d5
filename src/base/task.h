#pragma once

#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/task_frame.h"

namespace sharedlock {

namespace asio = boost::asio;

// Every coroutine of the server runs on one I/O thread's io_context and never leaves it. The executor's type is not
// erased: erasing it costs a virtual call and an allocation on each resumption.
using Executor = asio::io_context::executor_type;

// One spawned coroutine and everything that it awaits, directly or not. At any time one of them runs or waits.
struct TaskRun {
  Executor executor;
  std::coroutine_handle<> root;  // to destroy it destroys all of them
  bool begins_to_wait = false;   // an operation is being started
  bool can_not_go_on = false;    // meanwhile its handler was dropped
};

// Ends a run that can't go on, from its executor, or when its io_context is destroyed.
class TaskEnd {
 public:
  explicit TaskEnd(const TaskRun& run) : root_(run.root) {}
  TaskEnd(TaskEnd&& other) noexcept : root_(std::exchange(other.root_, nullptr)) {}
  TaskEnd& operator=(TaskEnd&&) = delete;
  ~TaskEnd() {
    if (root_) root_.destroy();
  }

  static void post(const TaskRun& run) {
    asio::post(run.executor, [end = TaskEnd(run)] {});
  }

 private:
  std::coroutine_handle<> root_;
};

// Resumes a waiting coroutine, once, on its executor. If it is destroyed instead, on any thread, its run can't go on
// and is destroyed: so an io_context that is destroyed leaves nothing behind.
class TaskResumption {
 public:
  TaskResumption(TaskRun& run, std::coroutine_handle<> waiting) : run_(&run), waiting_(waiting) {}
  TaskResumption(TaskResumption&& other) noexcept
      : run_(std::exchange(other.run_, nullptr)), waiting_(other.waiting_) {}
  TaskResumption& operator=(TaskResumption&&) = delete;
  ~TaskResumption() {
    if (run_ == nullptr) return;
    if (run_->executor.running_in_this_thread() && run_->begins_to_wait) {
      run_->can_not_go_on = true;  // unless that was an exception, which goes to the coroutine
    } else {
      TaskEnd::post(*run_);
    }
  }

  Executor executor() const { return run_->executor; }
  void resume() {
    run_ = nullptr;
    waiting_.resume();
  }

 private:
  TaskRun* run_;
  std::coroutine_handle<> waiting_;
};

// Has `start()` start what will resume a coroutine of this run. If that drops the TaskResumption before it returns, the
// run is destroyed, but not yet.
template <class Start>
void begin_to_wait(TaskRun& run, Start start) {
  struct Beginning {
    explicit Beginning(TaskRun& of) : run(of) {
      run.begins_to_wait = true;
      run.can_not_go_on = false;
    }
    Beginning(const Beginning&) = delete;
    Beginning& operator=(const Beginning&) = delete;
    ~Beginning() { run.begins_to_wait = false; }
    TaskRun& run;
  };
  {
    const Beginning beginning(run);
    start();
  }
  if (run.can_not_go_on) TaskEnd::post(run);
}

template <class T>
class Task;

// Base of what a coroutine can wait for besides tasks. It begins when it is awaited, and stays where it is until the
// await's expression has ended, so others may refer to it meanwhile. It has two public functions:
// - bool begin(TaskRun& run, std::coroutine_handle<> waiting), called on the executor. True: a TaskResumption of the
//   two will resume the coroutine. False: it has ended already.
// - T result(): what the await gives.
struct TaskAwaitable {};

// For `co_await`.
template <class Awaitable>
class TaskAwaited {
 public:
  explicit TaskAwaited(Awaitable& awaitable) : awaitable_(awaitable) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    return awaitable_.begin(waiting.promise().run(), waiting);
  }
  auto await_resume() { return awaitable_.result(); }

 private:
  Awaitable& awaitable_;
};

class TaskPromiseBase : public TaskFrame {
 public:
  // A callee that ends while its caller still starts it returns there; later it resumes the caller.
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      return ended.promise().starting_ ? std::noop_coroutine() : ended.promise().caller_;
    }
    void await_resume() const noexcept {}
  };
  struct Known {  // an executor: waits for nothing
    explicit Known(Executor executor) : executor_(executor) {}
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    Executor await_resume() const noexcept { return executor_; }

   private:
    Executor executor_;
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() { escaped_ = std::current_exception(); }

  template <class T>
  auto await_transform(Task<T> task) const {
    return std::move(task).awaited();
  }
  template <std::derived_from<TaskAwaitable> Awaitable>
  auto await_transform(Awaitable&& awaitable) const {
    return TaskAwaited<Awaitable>(awaitable);
  }
  Known await_transform(asio::this_coro::executor_t) const { return Known(run_->executor); }

  TaskRun& run() const { return *run_; }

  // Runs the coroutine until it waits or ends; true: it waits, and will resume `caller`.
  bool start(TaskRun& run, std::coroutine_handle<> self, std::coroutine_handle<> caller) {
    run_ = &run;
    caller_ = caller;
    starting_ = true;
    self.resume();
    starting_ = false;
    return !self.done();
  }

 protected:
  void begin_run(TaskRun& run) { run_ = &run; }
  void rethrow() const {
    if (escaped_) std::rethrow_exception(escaped_);
  }

 private:
  TaskRun* run_ = nullptr;
  std::coroutine_handle<> caller_;
  std::exception_ptr escaped_;
  bool starting_ = false;
};

template <class T>
class TaskPromise : public TaskPromiseBase {
 public:
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  // In the coroutine's frame.
  T&& result() {
    rethrow();
    return *std::move(value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  Task<void> get_return_object();
  void return_void() const {}
  void result() const { rethrow(); }
};

// A coroutine that begins when it is awaited, or spawned (spawn() below, TaskGroup); owns it. To await it costs no more
// than a call if it never waits. What it throws, the await throws. Not thread-safe. Nothing is ever detached.
//
// The await gives a reference into the coroutine, so that the result is moved once, to where it is wanted. It is valid
// until the await's expression has ended: so it is never bound to a reference that lives longer.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  // For `co_await`, which keeps it until the end of its expression.
  class Awaited {
   public:
    explicit Awaited(Task task) : task_(std::move(task)) {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> caller) {
      return task_.coroutine_.promise().start(caller.promise().run(), task_.coroutine_, caller);
    }
    decltype(auto) await_resume() { return task_.coroutine_.promise().result(); }

   private:
    Task task_;
  };

  explicit Task(Handle coroutine) : coroutine_(coroutine) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  Awaited awaited() && { return Awaited(std::move(*this)); }

 private:
  Handle coroutine_;
};

template <class T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(Task<T>::Handle::from_promise(*this));
}

inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(Task<void>::Handle::from_promise(*this));
}

// Gives what is known already, for functions that return a task without being coroutines.
template <class T>
Task<T> ready_task(T value) {
  co_return value;
}

// The root of a run.
class TaskRoot {
 public:
  class Promise : public TaskPromiseBase {
   public:
    template <class... Args>
    explicit Promise(const Executor& executor, const Args&...)
        : run_{executor, Handle::from_promise(*this)}, work_(executor) {
      begin_run(run_);
    }

    TaskRoot get_return_object() { return TaskRoot(run_); }
    std::suspend_never final_suspend() const noexcept { return {}; }
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    void return_void() const {}

   private:
    TaskRun run_;
    asio::executor_work_guard<Executor> work_;
  };
  using promise_type = Promise;
  using Handle = std::coroutine_handle<Promise>;

  TaskResumption first() const { return {run_, run_.root}; }

 private:
  explicit TaskRoot(TaskRun& run) : run_(run) {}

  TaskRun& run_;
};

template <class Ended>
TaskRoot run_as_root(Executor /*executor*/, Task<void> task, Ended ended) {
  std::exception_ptr escaped;
  try {
    co_await std::move(task);
  } catch (...) {
    escaped = std::current_exception();
  }
  ended(escaped);
}

// Starts `task` on `executor`: at once if that is where it is called, else as soon as its thread comes to it. When the
// task has ended, and is destroyed, calls `ended(std::exception_ptr)` there, with what has escaped it; that must not
// throw. The io_context runs until then; if it is destroyed before, so is the task, and `ended` is never called. From
// any thread.
template <class Ended>
void spawn(const Executor& executor, Task<void> task, Ended ended) {
  auto first = run_as_root(executor, std::move(task), std::move(ended)).first();
  asio::dispatch(executor, [first = std::move(first)]() mutable { first.resume(); });
}

}  // namespace sharedlock
