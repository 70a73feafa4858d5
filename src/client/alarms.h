#pragma once

#include <set>
#include <utility>

#include "base/async_event.h"
#include "base/task.h"
#include "client/schedule.h"

namespace sharedlock::client {

// Calls many objects at their times, with one timer. Times are CLOCK_BOOTTIME, for which Asio has no timer: so while
// there are alarms it checks once a second, and after a sleep of the machine is late by no more than that. Not
// thread-safe: only on its executor.
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

  // Once, not before then; replaces an earlier setting.
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
