#include "lock/rules.h"

#include <algorithm>
#include <utility>

namespace sharedlock {

namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

Refused held_by(const HeldLock& lock) {
  return {Refused::Obstacle{owner_of(lock), lock.record.expiry}};
}

bool is_past(const HeldLock& lock, Instant now) {
  return lock.record.expiry < now.epoch();
}

// The duration in a record need not make sense: a program that renews it must have time to be seen doing so.
constexpr seconds kShortestSighting{10};

// No lease will ever end it, so the clock has to; but only after it stood there for as long as it was meant to, so that
// a wall clock that is ahead does not take over a fresh record.
bool is_abandoned(const HeldLock& lock, Instant now) {
  if (!lock.leaseless_for || !is_past(lock, now)) return false;
  // Any duration in a record fits in seconds, but not in nanoseconds.
  auto seen_for = std::chrono::floor<seconds>(*lock.leaseless_for);
  return seen_for >= std::max(lock.record.duration, kShortestSighting);
}

bool is_other_token(const std::optional<FencingToken>& asked, const HeldLock& lock) {
  return asked && *asked != lock.token;
}

// A lease ends at most this much later than was promised for the locks on it: shared leases of etcd live 2 s longer
// than is needed, rounded up, and that counts from etcd's answer to the grant, which may take a while.
constexpr seconds kLongestSpare{4};

// Longer than any lease is meant to live, and yet of a length that every store grants.
constexpr seconds kForever{std::chrono::hours(24 * 365 * 100)};

nanoseconds part_of_second(WallTime wall) {
  return wall - std::chrono::floor<seconds>(wall);
}

// Without a lease, only the record says when the lock is to end.
PresentEnd end_without_lease(const HeldLock& lock, Instant now) {
  seconds left = std::clamp(lock.record.expiry - now.epoch(), seconds(0), kForever);
  return {now.boot + left, now.boot + left};
}

// A record's expiry, and the fraction of a second that is promised beyond it.
struct RecordEnd {
  EpochSeconds expiry;
  nanoseconds after;
};

// Any promised span fits in nanoseconds, but the wall-clock time at its end may not.
RecordEnd later(RecordEnd end, nanoseconds span) {
  seconds whole = std::chrono::floor<seconds>(span);
  nanoseconds after = end.after + (span - whole);
  seconds carried = std::chrono::floor<seconds>(after);
  return {end.expiry + whole + carried, after - carried};
}

// Used where `expiry` may stand for any moment within its second.
constexpr nanoseconds kAlmostASecond = seconds(1) - nanoseconds(1);

// The earliest moment for which `expiry` may stand: so much was surely promised.
BootTime least_promised(const PresentEnd& present) {
  bool known_exactly = present.at_least == present.at_most;
  return known_exactly ? present.at_least : present.at_least - kLongestSpare;
}

// What `expiry` shows to a server that did not write it. Where our clock is behind, a new `expiry` that is too late is
// safe, one that is too early is not. Where the present one is too early for its lease, either our clock is ahead, and
// moves it far enough; or a new leader of etcd let the lease begin anew, and for others the lock may end at any moment.
Promised shown_by(const HeldLock& lock, const PresentEnd& present, Instant now) {
  if (present.promised) return *present.promised;
  seconds ahead = clock_ahead(lock, now);
  if (ahead > seconds(0)) return {least_promised(present), kAlmostASecond};
  if (ahead < seconds(0)) return {now.boot, nanoseconds(0)};
  return {present.at_most, nanoseconds(0)};
}

WriteRecord extended(const HeldLock& lock, const LockName& name, EpochSeconds expiry) {
  LockRecord record = lock.record;
  record.lock = name;
  // Some programs write that a lock never expires.
  expiry = std::clamp(expiry, record.expiry, std::max(record.expiry, kNeverExpires));
  seconds longest = std::max(record.duration, kNeverExpires.time_since_epoch());
  record.duration = std::min(record.duration + (expiry - record.expiry), longest);
  record.expiry = expiry;
  record.carried_token = lock.token;
  return {.record = std::move(record), .ttl = {}, .lifetime = {}, .end = {}};
}

// Less than a second can't be promised.
bool can_keep(const HeldLock& lock, const PresentEnd& present, Instant now) {
  return lock.lease != LeaseId{0} && present.at_least >= now.boot + seconds(1);
}

void keep_lease(WriteRecord& write, LeaseId lease, const PresentEnd& present) {
  write.lifetime = KeepLease{lease, present.at_least, present.looked_up};
  write.end = {present.at_least, present.at_most};
}

void live_until(WriteRecord& write, BootTime end) {
  write.lifetime = PooledUntil{end};
  write.end = {end, end};
}

WriteRecord renew_from_now(const RenewRequest& request, const HeldLock& lock, const PresentEnd& present, Instant now) {
  BootTime wanted = saturating_add(now.boot, request.duration);
  bool keeps = present.at_most > wanted && can_keep(lock, present, now);
  Promised shown = shown_by(lock, present, now);
  BootTime until = std::max(wanted, present.at_most);
  // In whole seconds: the lease may live a fraction of a second longer than was meant.
  if (keeps) until = now.boot + std::chrono::floor<seconds>(present.at_least - now.boot);
  // The record already shows what this server has promised: if that is enough, nothing moves.
  if (keeps && present.promised) until = std::min(std::max(wanted, shown.until), present.at_least);

  nanoseconds grows = std::max<nanoseconds>(until - shown.until, nanoseconds(0));
  RecordEnd moved = later({lock.record.expiry, shown.after_expiry}, grows);
  RecordEnd by_our_clock = later({now.epoch(), part_of_second(now.wall)}, until - now.boot);
  EpochSeconds expiry = std::max(moved.expiry, by_our_clock.expiry);
  nanoseconds after = moved.expiry == expiry ? moved.after : nanoseconds(0);
  if (by_our_clock.expiry == expiry) after = std::max(after, by_our_clock.after);

  WriteRecord write = extended(lock, request.lock, expiry);
  keeps ? keep_lease(write, lock.lease, present) : live_until(write, until);
  write.ttl = std::chrono::floor<Ttl>(until - now.boot);
  write.end.promised = {until, after};
  return write;
}

// Where a renewal from the old expiry counts from: the end that was promised last. If another server promised it, the
// lease shows it only to the second, and with the spare time that was granted. So as long as lease and `expiry` agree,
// `expiry` counts. (Else each renewal by another server would add those seconds.) Where they don't, it is the least
// that may have been promised: if a renewal added to more than `expiry` shows, others could take over before its end.
struct Counted {
  BootTime from;
  bool is_shown;  // `expiry` stands for that moment or a later one; else for an earlier one
};

Counted counted_from(const HeldLock& lock, const PresentEnd& present, Instant now) {
  if (present.promised) return {present.promised->until, true};
  BootTime least = least_promised(present);
  if (clock_ahead(lock, now) > seconds(0)) return {least, true};
  seconds left = lock.record.expiry - now.epoch();
  BootTime by_record = saturating_add(now.boot, left + seconds(1)) - part_of_second(now.wall);
  // As after a change of etcd's leader, which lets all leases begin anew.
  if (by_record < least) return {least, false};
  return {std::min(by_record, present.at_most), true};
}

WriteRecord renew_from_end(const RenewRequest& request, const HeldLock& lock, const PresentEnd& present, Instant now) {
  Counted counted = counted_from(lock, present, now);
  BootTime latest = saturating_add(now.boot, kLongestLeaseDuration);
  nanoseconds added = std::clamp<nanoseconds>(latest - counted.from, nanoseconds(0), nanoseconds(request.duration));
  BootTime until = std::max(counted.from + added, now.boot + seconds(1));
  nanoseconds grows = present.promised ? added : until - counted.from;
  nanoseconds after = present.promised ? present.promised->after_expiry : kAlmostASecond;
  RecordEnd moved = later({lock.record.expiry, after}, grows);
  // Where the limit of a day applies, the present end may have been a little earlier than we know.
  EpochSeconds most =
      std::min(lock.record.expiry + std::chrono::ceil<seconds>(added), now.epoch() + kLongestLeaseDuration);

  WriteRecord write = extended(lock, request.lock, std::max(moved.expiry, most));
  write.adds = true;
  bool is_there = added == nanoseconds(0) || until <= present.at_least;
  bool keeps = is_there && can_keep(lock, present, now);
  if (keeps) until = std::min(until, present.at_least);
  BootTime end = std::max(until, present.at_most);
  std::optional<Promised> promised;
  if (counted.is_shown) promised = {std::min(until, counted.from + grows), moved.after};
  // Our two clocks may have moved apart since: this machine was paused, and its wall clock put right.
  seconds shown = write.record.expiry + seconds(1) - std::chrono::ceil<seconds>(now.wall);
  keeps ? keep_lease(write, lock.lease, present) : live_until(write, end);
  write.ttl = std::min(std::chrono::floor<Ttl>(until - now.boot), Ttl(shown));
  write.end.promised = promised;
  return write;
}

}  // namespace

seconds clock_ahead(const HeldLock& lock, Instant now) {
  seconds by_record = lock.record.expiry - now.epoch();
  // Both times are in whole seconds, and `expiry` is not after the end of what was promised.
  seconds at_most = std::chrono::ceil<seconds>(lock.end->at_most - now.boot) + seconds(1);
  seconds at_least = std::chrono::floor<seconds>(lock.end->at_least - now.boot) - kLongestSpare - seconds(1);
  if (by_record > at_most) return by_record - at_most;
  if (by_record < at_least) return by_record - at_least;
  return seconds(0);
}

Decision decide_acquire(const AcquireRequest& request, const std::optional<HeldLock>& current, Instant now) {
  if (current && current->record.holder != request.holder && !is_abandoned(*current, now)) return held_by(*current);
  BootTime end = saturating_add(now.boot, request.duration);
  return WriteRecord{.record = {.lock = request.lock,
                                .holder = request.holder,
                                .duration = request.duration,
                                .expiry = now.epoch() + request.duration,
                                .carried_token = std::nullopt,
                                .unknown_members = {}},
                     .ttl = request.duration,
                     .lifetime = PooledLease{request.duration},
                     .end = {end, end, Promised{end, part_of_second(now.wall)}}};
}

Decision decide_renew(const RenewRequest& request, const std::optional<HeldLock>& current, Instant now) {
  if (!current) return Refused{};
  if (current->record.holder != request.holder) return held_by(*current);
  if (is_other_token(request.token, *current)) return Refused{};
  if (request.from == RenewFrom::expiry && is_past(*current, now)) return Refused{};
  HeldLock lock = *current;
  if (lock.lease == LeaseId{0}) lock.end = end_without_lease(lock, now);
  if (!lock.end) return NeedsEnd{};
  return request.from == RenewFrom::now ? renew_from_now(request, lock, *lock.end, now)
                                        : renew_from_end(request, lock, *lock.end, now);
}

Decision decide_release(const ReleaseRequest& request, const std::optional<HeldLock>& current, Instant now) {
  if (!current) return NothingToDo{};
  if (current->record.holder != request.holder) {
    if (is_past(*current, now)) return NothingToDo{};
    return held_by(*current);
  }
  if (is_other_token(request.token, *current)) return Refused{};
  return EraseRecord{};
}

}  // namespace sharedlock
