#include "client/alarms.h"

#include <algorithm>

namespace sharedlock::client {

void Alarms::set(Target& target, TimePoint due) {
  if (target.due_ != TimePoint::max()) due_.erase({target.due_, &target});
  target.due_ = due;
  if (due == TimePoint::max()) return;
  due_.emplace(due, &target);
  if (due_.begin()->second == &target) changed_.raise();
}

Task<void> Alarms::run() {
  while (!stopped_) {
    TimePoint now = BootClock::now();
    if (!due_.empty() && due_.begin()->first <= now) {
      Target* target = due_.begin()->second;
      clear(*target);
      target->on_alarm();
      continue;
    }
    std::chrono::milliseconds wait = std::chrono::hours(24);
    if (!due_.empty()) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(due_.begin()->first - now);
      wait = std::min<std::chrono::milliseconds>(left, std::chrono::seconds(1));
    }
    co_await changed_.wait(wait);
  }
}

void Alarms::stop() {
  stopped_ = true;
  changed_.raise();
}

}  // namespace sharedlock::client
