#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <utility>

#include "base/io_threads.h"
#include "base/task.h"
#include "base/task_group.h"
#include "client/alarms.h"
#include "client/calls.h"
#include "client/http_client.h"
#include "client/keeper.h"
#include "sharedlock/client.h"

namespace sharedlock::client {

// What runs on the library's thread: requests with their repeats, and the keepers. Shared by a Client and everything
// that it returned; destroyed with the last of them, on that one's thread. Blocking calls may come from any thread but
// its own.
class Engine {
 public:
  explicit Engine(const ClientOptions& options);  // throws Failure, as Client does
  // Operations in progress have two seconds to end. Never on its own thread, which it waits for.
  ~Engine();

  Executor executor() { return threads_.executor(0); }
  const ClientOptions& options() const { return options_; }
  Calls& calls() { return calls_; }
  Alarms& alarms() { return alarms_; }

  // Throws std::logic_error on the library's thread, which a blocking call would wait for.
  void refuse_own_thread();

  // Runs it on the library's thread; never call it on that thread itself.
  template <class T>
  T run(Task<T> task) {
    refuse_own_thread();
    std::promise<T> promise;
    auto result = promise.get_future();
    tasks_.spawn(executor(), fulfil(std::move(task), std::move(promise)));
    return result.get();
  }
  void spawn(Task<void> task) { tasks_.spawn(executor(), std::move(task)); }

  // Until it is granted and can be relied on, or the wait is over. In the second case a possible grant is given back:
  // in the background, for as long as it could last; or at once, for two seconds at most, and if that fails the error
  // says so.
  enum class GiveBack { in_background, at_once };
  Task<Result<Grant>> acquire(Names names, std::chrono::seconds duration, Wait wait, GiveBack give_back);
  Task<Result<LeaseGrant>> grant(Calls::LeaseRequest request, Wait wait, GiveBack give_back);

  // A request is repeated until it has a definite answer, or `last_try` has passed: then it is not sent again, and a
  // try in progress continues until `end` at most.
  struct Times {
    TimePoint last_try;
    TimePoint end = TimePoint::max();
  };
  template <class T>
  using Once = std::function<Task<Result<T>>(TimePoint until)>;
  template <class T>
  Task<Result<T>> repeat(Once<T> attempt, Times times) {
    Backoff backoff;
    for (;;) {
      auto answer = co_await attempt(std::min(BootClock::now() + options_.attempt_timeout(), times.end));
      TimePoint over = std::min({times.last_try, times.end, closed_by_});
      if (answer || answer.error().code != Errc::unavailable || BootClock::now() >= over) co_return answer;
      co_await pause(&backoff, over);
    }
  }

  Upkeep upkeep_of(const Names& names, std::chrono::seconds ttl);
  Upkeep upkeep_of(std::int64_t lease, std::chrono::seconds ttl);

  // Waiting calls end with `unavailable`, and nothing is acquired any more.
  void stop_acquiring();

 private:
  // One way to take something, by either API.
  template <class G>
  struct Taking {
    std::function<Task<Result<G>>(InLine line, TimePoint until, Asked* asked)> attempt;
    std::function<Task<Result<G>>(TimePoint until)> confirm;  // a renewal
    Once<void> release;
    std::chrono::seconds ttl{};
  };
  template <class G>
  Task<Result<G>> take(Taking<G> taking, Wait wait, GiveBack give_back);
  template <class G>
  Task<Result<G>> take_once(const Taking<G>* taking, Wait wait, bool* open);
  template <class G>
  Task<Result<G>> confirmed(const Taking<G>* taking, G grant);
  Task<Result<Renewal>> renew_lock(Names names, std::chrono::seconds duration, TimePoint until);
  Task<Result<Renewal>> renew_lease(std::int64_t id, TimePoint until);
  Task<Result<void>> give_up(Once<void> release);  // of what is held
  Task<void> give_back(Once<void> release, std::chrono::seconds ttl);
  Task<void> pause(Backoff* backoff, TimePoint no_later = TimePoint::max());

  template <class T>
  static Task<void> fulfil(Task<T> task, std::promise<T> promise) {
    promise.set_value(co_await std::move(task));
  }

  const ClientOptions options_;
  IoThreads threads_;
  Alarms alarms_;
  HttpClient http_;
  Calls calls_;
  std::atomic<bool> acquiring_stopped_ = false;
  TimePoint closed_by_ = TimePoint::max();  // only on the executor: everything has ended by then
  TaskGroup alarms_task_;
  TaskGroup tasks_;
};

}  // namespace sharedlock::client
