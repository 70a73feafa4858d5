#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "store/lease_store.h"

namespace sharedlock {

// What the lock and lease services do alike with their grants.

// get() for answers that must not run ahead of the disk: it awaits settled(). The store must outlive the call.
Task<Result<Found>> look_durably(LeaseStore& store, std::string key, Deadline deadline);

// Erases the entry if it is still the one written at `revision`: LeaseStore::commit() with that one expectation.
Task<Result<Outcome>> erase_at(LeaseStore& store, std::string key, Revision revision, Deadline deadline);

// Whether a grant requested at `begun` and available only `now` has less than half of its time left: then it is
// useless, and is answered with late_grant() (R7).
bool too_late(BootTime begun, BootTime now, Ttl granted);

// `span`: the clients' term for the time that they ask for.
Error late_grant(std::string_view span);

}  // namespace sharedlock
