#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "base/use_task.h"

namespace sharedlock {

// A coroutine that waits for a T from another thread. It must be resumed exactly once.
template <class T>
class Waiting {
 public:
  virtual ~Waiting() = default;

  // Resumes the coroutine with `value`, on the executor on which it waits. From any thread.
  virtual void resume(T value) = 0;
};
template <class T>
using WaitingPtr = std::unique_ptr<Waiting<T>>;

template <class T, class Handler>
class WaitingHandler final : public Waiting<T> {
 public:
  WaitingHandler(const Executor& executor, Handler handler) : work_(executor), handler_(std::move(handler)) {}

  void resume(T value) override {
    auto executor = work_.get_executor();
    auto go_on = [work = std::move(work_), handler = std::move(handler_), value = std::move(value)]() mutable {
      std::move(handler)(std::move(value));
    };
    asio::post(executor, std::move(go_on));
  }

 private:
  asio::executor_work_guard<Executor> work_;  // keeps its io_context running meanwhile
  Handler handler_;
};

// To be awaited at once: suspends the calling coroutine, which runs on `executor`, and passes it to
// `begin(WaitingPtr<T>)`; its result is the value it is resumed with. Everything that `begin` refers to must live until
// then.
template <class T, class Begin>
auto wait_on(Executor executor, Begin begin) {
  auto start = [executor, begin = std::move(begin)](auto handler) mutable {
    using Kind = WaitingHandler<T, decltype(handler)>;
    begin(std::make_unique<Kind>(executor, std::move(handler)));
  };
  return asio::async_initiate<const UseTask, void(T)>(std::move(start), use_task);
}

}  // namespace sharedlock
