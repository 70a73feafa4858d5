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

// Put this record there, under a lease of `ttl`.
struct WriteRecord {
  LockRecord record;
  Ttl ttl;
};
// Erase the record.
struct EraseRecord {};
// What was asked for is already so.
struct NothingToDo {};
// It can't be done. `holder`: who is in the way and until when, where that is somebody else.
struct Refused {
  struct Obstacle {
    std::string owner;
    EpochSeconds expiry;
  };
  std::optional<Obstacle> holder;
  std::optional<std::size_t> ahead = std::nullopt;  // of one who waited in line: how many were before it
};
using Decision = std::variant<WriteRecord, EraseRecord, NothingToDo, Refused>;

// Free, or mine already: a new holding that begins now, with a fresh record. Another's: refused; unless it hangs on no
// lease, is past its expiry, and was seen unchanged for its whole duration, and for 10 s.
Decision decide_acquire(const AcquireRequest& request, const std::optional<HeldLock>& current, EpochSeconds now);

// Mine, with the token asked for, and not past its expiry: extended, with token and unknown members carried on. The
// record's duration grows by what was really added; the expiry is at most kLongestLeaseDuration from now and never
// earlier than it was; the lease lasts as long, but at most kLongestLeaseDuration.
Decision decide_renew(const RenewRequest& request, const std::optional<HeldLock>& current, EpochSeconds now);

// Mine, with the token asked for: erased, past its expiry or not. Free, or another's past its expiry: nothing to do.
Decision decide_release(const ReleaseRequest& request, const std::optional<HeldLock>& current, EpochSeconds now);

}  // namespace sharedlock
