#pragma once

#include <boost/asio/post.hpp>
#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "base/task.h"

namespace sharedlock {

// Where a coroutine waits for a T: in its frame, which nothing can end as long as this holds what would resume it.
template <class T>
struct WaitingPlace {
  std::optional<TaskResumption> resumption;
  std::optional<T> value;
};

// A coroutine that waits for a T from another thread. It must be resumed exactly once: if this is destroyed instead, so
// is the coroutine's run. The run's io_context must live until then.
template <class T>
class Waiting {
 public:
  using Place = WaitingPlace<T>;

  Waiting() = default;  // none
  explicit Waiting(Place* place) : place_(place) {}

  // Resumes the coroutine with `value`, on the executor on which it waits. From any thread. Leaves none.
  void resume(T value) {
    Place* place = release();  // gone once the coroutine goes on
    place->value.emplace(std::move(value));
    TaskResumption resumption = *std::move(place->resumption);
    Executor executor = resumption.executor();
    asio::post(executor, [resumption = std::move(resumption)]() mutable { resumption.resume(); });
  }

  // For interfaces that pass on a pointer, from which another one of these is made.
  Place* release() { return place_.release(); }

 private:
  struct Drop {
    void operator()(Place* place) const { const TaskResumption dropped = *std::move(place->resumption); }
  };

  std::unique_ptr<Place, Drop> place_;
};

// See wait_on().
template <class T, class Begin>
class [[nodiscard]] WaitOperation : public TaskAwaitable {
 public:
  explicit WaitOperation(Begin begin) : begin_(std::move(begin)) {}

  bool begin(TaskRun& run, std::coroutine_handle<> waiting) {
    begin_to_wait(run, [&] {
      place_.resumption.emplace(run, waiting);
      begin_(Waiting<T>(&place_));
    });
    return true;
  }
  T result() { return *std::move(place_.value); }

 private:
  Begin begin_;
  WaitingPlace<T> place_;
};

// To be awaited at once: suspends the calling coroutine and passes it to `begin(Waiting<T>)`; the result is the value
// it is resumed with. Everything that `begin` refers to must live until then.
template <class T, class Begin>
WaitOperation<T, Begin> wait_on(Begin begin) {
  return WaitOperation<T, Begin>(std::move(begin));
}

}  // namespace sharedlock
