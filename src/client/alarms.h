#pragma once

#include <set>
#include <utility>

#include "base/async_event.h"
#include "base/task.h"
#include "client/schedule.h"

namespace sharedlock::client {

// Calls many at their times, with one timer. Times are CLOCK_BOOTTIME, for which there is no timer in Asio: so while
// there is anybody to call it looks once a second, and after a sleep of the machine is late by no more than that. Not
// thread-safe: on its executor alone.
class Alarms {
 public:
  class Target {
   public:
    virtual ~Target() = default;
    virtual void on_alarm() = 0;  // may set() and clear()

   private:
    friend class Alarms;
    TimePoint due_ = TimePoint::max();
  };

  explicit Alarms(const Executor& executor) : changed_(executor) {}

  // Once, not before then; instead of what was set before.
  void set(Target& target, TimePoint due);
  void clear(Target& target) { set(target, TimePoint::max()); }

  // Until stop().
  Task<void> run();
  void stop();

 private:
  AsyncEvent changed_;
  std::set<std::pair<TimePoint, Target*>> due_;
  bool stopped_ = false;
};

}  // namespace sharedlock::client
