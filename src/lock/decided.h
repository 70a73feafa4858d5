#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "lock/lock_record.h"
#include "lock/rules.h"
#include "store/lease_store.h"

namespace sharedlock {

// How a request ended: `decision` was reached on `seen`, and is true as of `revision` (for a write: its own).
struct Decided {
  Decision decision;
  std::optional<HeldLock> seen;
  Revision revision;
};

// Whether a decision changes what is stored.
bool is_write(const Decision& decision);

// Whether it gives the lock to somebody who was not seen to hold it.
bool changes_hands(const Decision& decision, const std::optional<HeldLock>& seen);

// Adds to a transaction what carries out a decision on what stands under `key`, if that is still as it was seen.
void add_to(Transaction& transaction, const std::string& key, const Decision& decision,
            const std::optional<HeldLock>& seen);

// After a commit with unknown outcome: does what stands there now show that it happened? An acquire is never taken for
// done: two acquires of one instance in one second write the same bytes, and each must begin a holding of its own.
bool shows_success(const Decision& decision, const std::optional<HeldLock>& seen, const std::optional<Entry>& now);

// What a request ends with that has lost every race.
Error ran_out_of_retries();

}  // namespace sharedlock
