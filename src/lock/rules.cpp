#include "lock/rules.h"

#include <algorithm>

namespace sharedlock {

namespace {

Refused held_by(const HeldLock& lock) {
  return {Refused::Obstacle{lock.record.holder.owner, lock.record.expiry}};
}

bool is_past(const HeldLock& lock, EpochSeconds now) {
  return lock.record.expiry < now;
}

// A record need not say a duration that makes sense: whoever writes it anew must have time to be seen doing so.
constexpr std::chrono::seconds kShortestSighting{10};

// No lease will ever end it, so the clock has to; but only after it stood there for as long as it was meant to, so that
// a wall clock that is ahead takes nothing fresh.
bool is_abandoned(const HeldLock& lock, EpochSeconds now) {
  if (!lock.leaseless_for || !is_past(lock, now)) return false;
  // In seconds: others may have written a duration that nanoseconds can't hold.
  auto seen_for = std::chrono::floor<std::chrono::seconds>(*lock.leaseless_for);
  return seen_for >= std::max(lock.record.duration, kShortestSighting);
}

bool is_other_token(const std::optional<FencingToken>& asked, const HeldLock& lock) {
  return asked && *asked != lock.token;
}

}  // namespace

Decision decide_acquire(const AcquireRequest& request, const std::optional<HeldLock>& current, EpochSeconds now) {
  if (current && current->record.holder != request.holder && !is_abandoned(*current, now)) return held_by(*current);
  LockRecord record{.lock = request.lock,
                    .holder = request.holder,
                    .duration = request.duration,
                    .expiry = now + request.duration,
                    .carried_token = std::nullopt,
                    .unknown_members = {}};
  return WriteRecord{std::move(record), request.duration};
}

Decision decide_renew(const RenewRequest& request, const std::optional<HeldLock>& current, EpochSeconds now) {
  if (!current) return Refused{};
  if (current->record.holder != request.holder) return held_by(*current);
  if (is_past(*current, now) || is_other_token(request.token, *current)) return Refused{};

  LockRecord record = current->record;
  EpochSeconds wanted = (request.from == RenewFrom::now ? now : record.expiry) + request.duration;
  EpochSeconds expiry = std::max(record.expiry, std::min(wanted, now + kLongestLeaseDuration));
  record.lock = request.lock;
  record.duration += expiry - record.expiry;
  record.expiry = expiry;
  record.carried_token = current->token;
  // Where the wall clock was set back the expiry may lie years ahead; the lease never lasts longer than a day.
  return WriteRecord{std::move(record), std::clamp(expiry - now, Ttl{1}, kLongestLeaseDuration)};
}

Decision decide_release(const ReleaseRequest& request, const std::optional<HeldLock>& current, EpochSeconds now) {
  if (!current) return NothingToDo{};
  if (current->record.holder != request.holder) {
    if (is_past(*current, now)) return NothingToDo{};
    return held_by(*current);
  }
  if (is_other_token(request.token, *current)) return Refused{};
  return EraseRecord{};
}

}  // namespace sharedlock
