#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "store/lease_store.h"

namespace sharedlock {

// What the services of locks and of leases do alike with what they grant.

// get() for answers that may not run ahead of the disk: settled() has been awaited. The store must outlive the call.
Task<Result<Found>> look_durably(LeaseStore& store, std::string key, Deadline deadline);

// Erases the entry if it is still the one that was written at `revision`: LeaseStore::commit() with that one
// expectation.
Task<Result<Outcome>> erase_at(LeaseStore& store, std::string key, Revision revision, Deadline deadline);

// Whether a grant that was asked for at `begun` and is there only `now` has less than half of its time left: then it is
// of no use, and is answered with late_grant() (R7).
bool too_late(BootTime begun, BootTime now, Ttl granted);

// `span`: what the caller's clients call the time that they ask for.
Error late_grant(std::string_view span);

}  // namespace sharedlock
