#pragma once

#include <optional>
#include <string>
#include <vector>

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

// Whether it, or one of these, can't be done.
bool is_refused(const Decided& one);
bool any_refused(const std::vector<Decided>& all);

// Whether it adds to what was seen, so that doing it twice does more than doing it once.
bool adds(const Decision& decision);

// Whether it may add for the second time, where an earlier try had no answer: that added to what stood there at
// `added_to`, which it may have replaced since.
bool may_add_twice(const Decided& again, const std::optional<Revision>& added_to);

// Whether it gives the lock to somebody who was not seen to hold it.
bool changes_hands(const Decision& decision, const std::optional<HeldLock>& seen);

// Adds to a transaction what carries out a decision on what stands under `key`, if that is still as it was seen.
void add_to(Transaction& transaction, const std::string& key, const Decision& decision,
            const std::optional<HeldLock>& seen);

// After a commit with unknown outcome: does what stands there now show that it happened? An acquire is never taken for
// done: two acquires of one instance in one second write the same bytes, and each must begin a holding of its own; nor
// is a renewal from now, of which two may write the same, and which can be done again. One that adds is: which lease it
// hangs on tells whether it lives for as long as this one would promise.
bool shows_success(const Decision& decision, const std::optional<HeldLock>& seen, const std::optional<Entry>& now);

// What a request ends with that has lost every race.
Error ran_out_of_retries();

}  // namespace sharedlock
