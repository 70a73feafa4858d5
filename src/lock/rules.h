#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>

#include "lock/lock_record.h"
#include "lock/types.h"

namespace sharedlock {

// The rules of the lock API: from the request, what stands there and the time, they decide what is to be done. Pure
// functions: no clock, no store, no thread. `current` is nothing when the lock is free. A lock is held as long as its
// entry exists: these rules never free one because of a clock, except for a record without a lease (R10).

// Put this record there. `ttl`: how long from now the lock is safe.
struct WriteRecord {
  LockRecord record;
  Ttl ttl;
  Lifetime lifetime;
  PresentEnd end;     // then
  bool adds = false;  // to what stood there: doing it twice would add twice
};
// Erase the record.
struct EraseRecord {};
// The decision depends on when the lock's lease ends, and HeldLock::end does not say that.
struct NeedsEnd {};
// What was asked for is already so.
struct NothingToDo {};
// It can't be done. `holder`: the lock's owner and its expiry, where another holder is in the way.
struct Refused {
  struct Obstacle {
    std::optional<std::string> owner;  // nothing: of a record without one
    EpochSeconds expiry;
  };
  std::optional<Obstacle> holder;
  std::optional<std::size_t> ahead = std::nullopt;  // after waiting in a queue: how many waiters were ahead
};
using Decision = std::variant<WriteRecord, EraseRecord, NothingToDo, Refused, NeedsEnd>;

// Free, or the caller's already: a new holding that begins now, with a fresh record. Another's: refused, unless it
// hangs on no lease, is past its expiry, and was seen unchanged for its whole duration and for at least 10 s.
Decision decide_acquire(const AcquireRequest& request, const std::optional<HeldLock>& current, Instant now);

// The caller's, with the token asked for, and (RenewFrom::expiry) not past its expiry: extended, with token and unknown
// members carried on (R35).
//
// The new end goes by the lease alone: the duration after the present end, or from now but never before the present
// end; where that is later already the entry keeps its lease. kLongestLeaseDuration from now limits what is added,
// never what is there. Differences between wall clocks neither lengthen a lease nor end one.
//
// `expiry` is for programs that look at the record alone. It grows with what is promised, by whole seconds; the
// fraction that is left over counts the next time. From now, it also shows what is promised by our clock. It never gets
// earlier. The record's duration grows by what was really added. Where it can't be known which moment `expiry` stands
// for, it is taken for the earliest that the lease leaves possible.
Decision decide_renew(const RenewRequest& request, const std::optional<HeldLock>& current, Instant now);

// The caller's, with the token asked for: erased, past its expiry or not. Free, or another's past its expiry: a no-op.
Decision decide_release(const ReleaseRequest& request, const std::optional<HeldLock>& current, Instant now);

// By how much the clock of the record's writer is ahead of ours (negative: behind), where record and lease show that
// for certain; else 0. The end must be known.
std::chrono::seconds clock_ahead(const HeldLock& lock, Instant now);

}  // namespace sharedlock
