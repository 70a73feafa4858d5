#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/task.h"

namespace sharedlock {

// The completion token that makes an Asio operation awaitable in a Task: the result of the operation's call is to be
// awaited at once. Without a place for its error_code an error is thrown, as a boost::system::system_error.
struct UseTask {
  boost::system::error_code* failed = nullptr;
};
inline constexpr UseTask use_task{};

// The same, but the error goes to `failed`, which must live until the operation has ended.
inline UseTask error_to(boost::system::error_code& failed) {
  return UseTask(&failed);
}

// Where an operation leaves its result: void(), void(T) and the same with an error_code before.
template <class... Values>
class TaskOutcome {
  static_assert(sizeof...(Values) == 0, "an operation has one result");

 public:
  void set() {}
  void take() {}
};
template <class T>
class TaskOutcome<T> {
 public:
  void set(T value) { value_.emplace(std::move(value)); }
  T take() { return *std::move(value_); }

 private:
  std::optional<T> value_;
};

template <class Signature>
struct TaskSignature;
template <class... Values>
struct TaskSignature<void(Values...)> {
  using Outcome = TaskOutcome<std::decay_t<Values>...>;
};
template <class... Values>
struct TaskSignature<void(boost::system::error_code, Values...)> : TaskSignature<void(Values...)> {};

// An operation that begins when it is awaited.
template <class Signature, class Initiation, class... Args>
class [[nodiscard]] TaskOperation : public TaskAwaitable {
 public:
  TaskOperation(UseTask token, Initiation initiation, Args... args)
      : failed_(token.failed), initiation_(std::move(initiation)), args_(std::move(args)...) {}

  bool begin(TaskRun& run, std::coroutine_handle<> waiting) {
    begin_to_wait(run, [&] {
      Handler handler(*this, TaskResumption(run, waiting));
      std::apply([&](Args&... args) { std::move(initiation_)(std::move(handler), std::move(args)...); }, args_);
    });
    return true;
  }

  auto result() {
    if (failed_ == nullptr && error_) throw boost::system::system_error(error_);
    return outcome_.take();
  }

 private:
  class Handler {
   public:
    using executor_type = Executor;

    Handler(TaskOperation& operation, TaskResumption resumption)
        : operation_(&operation), resumption_(std::move(resumption)) {}
    executor_type get_executor() const noexcept { return resumption_.executor(); }

    template <class... Values>
    void operator()(Values&&... values) {
      operation_->end(std::forward<Values>(values)...);
      resumption_.resume();
    }

   private:
    TaskOperation* operation_;
    TaskResumption resumption_;
  };

  void end() { outcome_.set(); }
  template <class First, class... Values>
  void end(First&& first, Values&&... values) {
    if constexpr (std::is_same_v<std::decay_t<First>, boost::system::error_code>) {
      error_ = first;
      if (failed_ != nullptr) *failed_ = first;
      outcome_.set(std::forward<Values>(values)...);
    } else {
      outcome_.set(std::forward<First>(first));
    }
  }

  boost::system::error_code* failed_;
  boost::system::error_code error_;
  typename TaskSignature<Signature>::Outcome outcome_;
  Initiation initiation_;
  std::tuple<Args...> args_;
};

}  // namespace sharedlock

template <class Signature>
class boost::asio::async_result<sharedlock::UseTask, Signature> {
 public:
  template <class Initiation, class... Args>
  static auto initiate(Initiation&& initiation, sharedlock::UseTask token, Args&&... args) {
    return sharedlock::TaskOperation<Signature, std::decay_t<Initiation>, std::decay_t<Args>...>(
        token, std::forward<Initiation>(initiation), std::forward<Args>(args)...);
  }
};
