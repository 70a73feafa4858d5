#include "http/connections.h"

#include <algorithm>

#include "base/use_task.h"

namespace sharedlock::http {

using boost::system::error_code;

namespace {

constexpr auto kLookForRoomAgain = std::chrono::milliseconds(100);
constexpr int kCandidates = 64;
constexpr int kLookedAt = 4096;
constexpr auto kNothingToSee = std::chrono::hours(24);

}  // namespace

Connections::Connections(Executor executor, Clock& clock) : timer_(executor), clock_(clock) {}

Task<void> Connections::watch_deadlines() {
  while (!stopped_) {
    if (open_.empty()) {
      timer_.expires_after(kNothingToSee);
    } else {
      timer_.expires_after(kLookForRoomAgain);
    }
    error_code woken;
    co_await timer_.async_wait(error_to(woken));
    expire_due();
  }
}

Task<void> Connections::drain(std::chrono::nanoseconds grace, std::chrono::nanoseconds patience) {
  draining_ = closing_after_answers_ = true;
  end_of_grace_ = std::min(end_of_grace_, after(grace, now()));
  end_of_patience_ = std::min(end_of_patience_, after(patience, now()));
  for (Connection& connection : open_) connection.drain();
  expire_due();  // without a grace: at once
  co_return;
}

Task<void> Connections::close_after_answers() {
  closing_after_answers_ = true;
  co_return;
}

Task<void> Connections::stop() {
  stopped_ = true;
  timer_.cancel();
  for (Connection& connection : open_) connection.stop();
  co_return;
}

// Connections already checked go to the end of the list, so that the next search checks others. With thousands waiting
// in queues it takes a while to find one that could go.
bool Connections::make_room(Connection::Kind kind) {
  if (open_.empty()) return false;
  const Connection* first = &open_.front();
  Connection* chosen = nullptr;
  int candidates = 0;
  int looked_at = 0;
  do {
    Connection& connection = open_.front();
    if (connection.kind() == kind && connection.can_make_room()) {
      ++candidates;
      if (!chosen || connection.makes_room_before(*chosen)) chosen = &connection;
    }
    open_.splice(open_.end(), open_, open_.begin());
  } while (candidates < kCandidates && ++looked_at < kLookedAt && &open_.front() != first);
  if (chosen) chosen->make_room();
  return chosen != nullptr;
}

bool Connections::cut_off_one(const Connection& larger) {
  Connection* oldest = nullptr;
  int candidates = 0;
  int looked_at = 0;
  const Connection* first = &open_.front();
  do {
    Connection& connection = open_.front();
    if (connection.has_large_request() && &connection != &larger) {
      ++candidates;
      if (!oldest || connection.since() < oldest->since()) oldest = &connection;
    }
    open_.splice(open_.end(), open_, open_.begin());
  } while (candidates < kCandidates && ++looked_at < kLookedAt && &open_.front() != first);
  if (oldest) oldest->cut_off();
  return oldest != nullptr;
}

void Connections::add(Connection& connection) {
  if (open_.empty()) timer_.cancel();  // watch_deadlines() was asleep
  open_.push_back(connection);
}

BootTime Connections::after(std::chrono::nanoseconds timeout, BootTime now) {
  BootTime deadline = timeout < BootTime::max() - now ? now + timeout : BootTime::max();
  return watched(deadline);
}

BootTime Connections::end_of_grace() {
  return watched(end_of_grace_);
}

// Later activity, such as the answer to a slow request, has its usual time.
BootTime Connections::within_patience(BootTime deadline) {
  if (end_of_patience_ >= deadline || end_of_patience_ <= clock_.boot_now()) return deadline;
  return watched(end_of_patience_);
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
