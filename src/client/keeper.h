#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/async_event.h"
#include "base/task.h"
#include "client/alarms.h"
#include "client/schedule.h"
#include "sharedlock/error.h"

namespace sharedlock::client {

// A holding: for `ttl`, counted from `sent`.
struct Renewal {
  std::chrono::seconds ttl{};
  TimePoint sent;
};

// How to keep and give up a holding.
struct Upkeep {
  std::function<Task<Result<Renewal>>(TimePoint until)> renew;  // by one request
  std::function<Task<Result<void>>()> release;                  // with all its tries; bounded
  std::chrono::seconds ttl{};                                   // the requested one
  std::chrono::milliseconds attempt_timeout{};
};

// Renews a holding until it is lost or given up, and reports the end to its callbacks. Runs on one executor; functions
// for other threads are marked. `alarms` must outlive it.
class Keeper final : public Alarms::Target {
 public:
  Keeper(const Executor& executor, Alarms& alarms, Upkeep upkeep, Renewal first);

  // Until it is over, and has been released.
  static Task<void> keep(std::shared_ptr<Keeper> keeper);

  // From any thread:
  bool held() const { return !over_ && !given_up_ && BootClock::now() < safe_until(); }
  TimePoint safe_until() const { return TimePoint(BootClock::duration(safe_until_.load())); }
  std::stop_token stop_token() const { return stop_.get_token(); }
  void when_over(std::function<void(bool lost)> done);
  // Gives it up; `done`, if given, gets the server's answer.
  static void end(const std::shared_ptr<Keeper>& keeper, std::function<void(Result<void>)> done);

 private:
  using Told = std::function<void(bool lost)>;

  void on_alarm() override;
  Task<void> renew();
  Task<Result<void>> release();
  void set_safe_until(TimePoint safe) { safe_until_ = safe.time_since_epoch().count(); }
  void be_over(bool lost);

  const Executor executor_;
  Alarms& alarms_;
  const Upkeep upkeep_;
  AsyncEvent wake_;
  Backoff backoff_;
  TimePoint renew_at_;
  bool gone_ = false;  // the server says so
  bool ending_ = false;
  bool released_ = false;
  Result<void> release_answer_;
  std::vector<std::function<void(Result<void>)>> release_done_;
  std::atomic<std::int64_t> safe_until_;
  std::atomic<bool> over_ = false;      // lost, or released
  std::atomic<bool> given_up_ = false;  // to be released
  std::stop_source stop_;

  std::mutex mutex_;
  std::optional<bool> lost_;  // once it is over
  std::vector<Told> told_;
};

}  // namespace sharedlock::client
