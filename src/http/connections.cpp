#include "http/connections.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>

namespace sharedlock::http {

using boost::system::error_code;

namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(100);
constexpr auto kNothingToSee = std::chrono::hours(24);

}  // namespace

Connections::Connections(Executor executor, Clock& clock) : timer_(executor), clock_(clock) {}

Task<void> Connections::watch_deadlines() {
  while (!stopped_) {
    if (open_.empty()) {
      timer_.expires_after(kNothingToSee);
    } else {
      timer_.expires_after(kLookAgain);
    }
    error_code woken;
    co_await timer_.async_wait(asio::redirect_error(use_task, woken));
    expire_due();
  }
}

Task<void> Connections::drain(std::chrono::nanoseconds grace) {
  draining_ = true;
  end_of_grace_ = std::min(end_of_grace_, after(grace));
  for (Connection& connection : open_) connection.drain();
  expire_due();  // without a grace at once
  co_return;
}

Task<void> Connections::stop() {
  stopped_ = true;
  timer_.cancel();
  for (Connection& connection : open_) connection.stop();
  co_return;
}

void Connections::add(Connection& connection) {
  if (open_.empty()) timer_.cancel();  // watch_deadlines() was asleep
  open_.push_back(connection);
}

BootTime Connections::after(std::chrono::nanoseconds timeout) {
  BootTime now = clock_.boot_now();
  BootTime deadline = timeout < BootTime::max() - now ? now + timeout : BootTime::max();
  return watched(deadline);
}

BootTime Connections::end_of_grace() {
  return watched(end_of_grace_);
}

BootTime Connections::watched(BootTime deadline) {
  earliest_ = std::min(earliest_, deadline);
  return deadline;
}

void Connections::expire_due() {
  BootTime now = clock_.boot_now();
  if (now < earliest_) return;
  earliest_ = BootTime::max();
  for (Connection& connection : open_) {
    if (connection.deadline() <= now) connection.expire();
    earliest_ = std::min(earliest_, connection.deadline());
  }
}

}  // namespace sharedlock::http
