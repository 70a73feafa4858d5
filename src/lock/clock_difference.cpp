#include "lock/clock_difference.h"

#include <utility>

namespace sharedlock {

namespace {

using std::chrono::seconds;

constexpr seconds kSpan{300};
// Records hold whole seconds, and take a moment to arrive.
constexpr seconds kNoise{2};
// A lease ends at most 3 s after the expiry of its record.
constexpr seconds kLatestEnd{3};

seconds larger(seconds one, seconds other) {
  return std::chrono::abs(one) >= std::chrono::abs(other) ? one : other;
}

}  // namespace

void ClockDifference::read(const LockRecord& record, bool leased, EpochSeconds wall, BootTime now) {
  seconds ahead = record.expiry - record.duration - wall;
  seconds behind = wall - record.expiry;
  if (ahead >= kNoise) {
    note(ahead, now);
  } else if (leased && behind > kLatestEnd) {
    note(-behind, now);
  }
}

void ClockDifference::just_written(const LockRecord& record, EpochSeconds wall, BootTime now) {
  // A renewal keeps the beginning of its holding.
  if (record.carried_token) return;
  seconds difference = record.expiry - record.duration - wall;
  if (std::chrono::abs(difference) >= kNoise) note(difference, now);
}

void ClockDifference::note(seconds difference, BootTime now) {
  std::scoped_lock lock(mutex_);
  turn_over(now);
  present_ = larger(present_, difference);
  any_ = true;
}

seconds ClockDifference::largest(BootTime now) const {
  if (!any_) return seconds(0);
  std::scoped_lock lock(mutex_);
  turn_over(now);
  return larger(present_, before_);
}

void ClockDifference::turn_over(BootTime now) const {
  if (now - since_ < kSpan) return;
  before_ = now - since_ < 2 * kSpan ? present_ : seconds(0);
  present_ = seconds(0);
  since_ = now;
}

}  // namespace sharedlock
