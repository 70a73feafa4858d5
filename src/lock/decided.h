#pragma once

#include <optional>
#include <span>
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

// Whether the request was refused; whether any of several was.
bool is_refused(const Decided& one);
bool any_refused(std::span<const Decided> all);

// Whether it can't be decided before it is known when the lock's lease ends.
bool needs_end(const Decided& one);

// Whether it adds to what was seen, so that doing it twice does more than doing it once.
bool adds(const Decision& decision);

// Whether `again` may add for the second time: an earlier try, which had no answer, added to what stood there at
// revision `added_to`, and may have replaced it since.
bool may_add_twice(const Decided& again, const std::optional<Revision>& added_to);

// Whether it gives the lock to a holder other than the one that was seen.
bool changes_hands(const Decision& decision, const std::optional<HeldLock>& seen);

// At which revision a commit of what was decided on that expects the entry.
Revision expected(const std::optional<HeldLock>& seen);

// Adds to a transaction what carries out a decision about `key`, if what stands there is still as it was seen.
void add_to(Transaction& transaction, const std::string& key, const Decision& decision,
            const std::optional<HeldLock>& seen);

// After a commit with unknown outcome: does what stands there now show that it happened? An acquire never counts as
// done: two acquires of one instance in one second write the same bytes, and each must begin a holding of its own. Nor
// does a renewal from now: two may write the same bytes, and it can be done again. A renewal that adds does count; the
// lease of the entry then tells whether the lock lives for as long as the renewal would promise.
bool shows_success(const Decision& decision, const std::optional<HeldLock>& seen, const std::optional<Entry>& now);

// The error of a request that has lost every race.
Error ran_out_of_retries();

}  // namespace sharedlock
