#include "lock/clock_skew.h"

#include <utility>

namespace sharedlock {

namespace {

using std::chrono::seconds;

constexpr seconds kSpan{300};
// Records hold whole seconds, and take a moment to arrive.
constexpr seconds kNoise{2};
// A lease ends at most 4 s after the expiry of its record.
constexpr seconds kLatestEnd{4};

seconds larger(seconds one, seconds other) {
  return std::chrono::abs(one) >= std::chrono::abs(other) ? one : other;
}

}  // namespace

std::optional<seconds> ClockSkew::read(const LockRecord& record, bool leased, Instant now) {
  if (record.expiry >= kNeverExpires) return std::nullopt;
  seconds ahead = record.expiry - record.duration - now.epoch();
  seconds behind = now.epoch() - record.expiry;
  if (ahead >= kNoise) {
    note(ahead, now.boot);
    return tell_once(ahead);
  }
  if (leased && behind > kLatestEnd) note(-behind, now.boot);
  return std::nullopt;
}

std::optional<seconds> ClockSkew::just_written(const LockRecord& record, Instant now) {
  // A renewal keeps the beginning of its holding.
  if (record.carried_token || record.expiry >= kNeverExpires) return std::nullopt;
  seconds difference = record.expiry - record.duration - now.epoch();
  if (std::chrono::abs(difference) < kNoise) return std::nullopt;
  note(difference, now.boot);
  return tell_once(difference);
}

std::optional<seconds> ClockSkew::tell_once(seconds difference) {
  return told_.exchange(true) ? std::nullopt : std::optional(difference);
}

void ClockSkew::note(seconds difference, BootTime now) {
  std::scoped_lock lock(mutex_);
  turn_over(now);
  present_ = larger(present_, difference);
  any_ = true;
}

seconds ClockSkew::largest(BootTime now) const {
  if (!any_) return seconds(0);
  std::scoped_lock lock(mutex_);
  turn_over(now);
  return larger(present_, before_);
}

void ClockSkew::turn_over(BootTime now) const {
  if (now - since_ < kSpan) return;
  before_ = now - since_ < 2 * kSpan ? present_ : seconds(0);
  present_ = seconds(0);
  since_ = now;
}

}  // namespace sharedlock
