#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>

#include "lock/lock_record.h"
#include "lock/types.h"

namespace sharedlock {

// The rules of the lock API: from what is asked, what stands there and the time on the wall, to what is to be done.
// Pure functions: no clock, no store, no thread. `current` is nothing when the lock is free. A lock is held as long as
// its entry exists: these rules never free one because of a clock, but for a record that no lease holds (R10).

// Put this record there. `ttl`: for so long after now the lock is safe.
struct WriteRecord {
  LockRecord record;
  Ttl ttl;
  Lifetime lifetime;
  PresentEnd end;     // then
  bool adds = false;  // to what stood there: once more would be too much
};
// Erase the record.
struct EraseRecord {};
// It depends on how long the lease of the lock lives yet, and HeldLock::end does not say that.
struct NeedsEnd {};
// What was asked for is already so.
struct NothingToDo {};
// It can't be done. `holder`: who is in the way and until when, where that is somebody else.
struct Refused {
  struct Obstacle {
    std::optional<std::string> owner;  // nothing: of a record without one
    EpochSeconds expiry;
  };
  std::optional<Obstacle> holder;
  std::optional<std::size_t> ahead = std::nullopt;  // of one who waited in line: how many were before it
};
using Decision = std::variant<WriteRecord, EraseRecord, NothingToDo, Refused, NeedsEnd>;

// Free, or mine already: a new holding that begins now, with a fresh record. Another's: refused; unless it hangs on no
// lease, is past its expiry, and was seen unchanged for its whole duration, and for 10 s.
Decision decide_acquire(const AcquireRequest& request, const std::optional<HeldLock>& current, Instant now);

// Mine, with the token asked for, and (RenewFrom::expiry) not past its expiry: extended, with token and unknown members
// carried on (R35).
//
// When it ends goes by the lease alone: the duration after its present end, or from now but never before its present
// end; where that is later already the entry keeps its lease. kLongestLeaseDuration from now limits what is added,
// never what is there. No difference between wall clocks becomes a longer lease or ends one.
//
// `expiry` is what others decide by, who look at the record alone. It grows by the whole seconds by which what is
// promised does, with what was left over the last time; from now, it shows what is promised on our clock, too. It never
// gets earlier. The record's duration grows by what was really added. Where it can't be known what `expiry` stands for,
// it is taken for the least that the lease leaves possible.
Decision decide_renew(const RenewRequest& request, const std::optional<HeldLock>& current, Instant now);

// Mine, with the token asked for: erased, past its expiry or not. Free, or another's past its expiry: nothing to do.
Decision decide_release(const ReleaseRequest& request, const std::optional<HeldLock>& current, Instant now);

// By how much the clock of those who wrote the record is ahead of ours, where record and lease show that for certain;
// negative: behind. The end must be known.
std::chrono::seconds clock_ahead(const HeldLock& lock, Instant now);

}  // namespace sharedlock
