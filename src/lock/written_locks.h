#pragma once

#include <string>

#include "base/lossy_map.h"
#include "lock/lock_record.h"

namespace sharedlock {

// Locks, by their keys, as this server wrote them last, so that a renewal or a release needs no look first: each hangs
// on a lease, and its `revision` is that of the write. What stands there may have changed since; what a revision wrote
// never changes. So a commit that rests on it expects that very revision, and succeeds or gets a Conflict. A place in
// use takes some 500 bytes.
using WrittenLocks = LossyMap<std::string, HeldLock, 1 << 14>;

}  // namespace sharedlock
