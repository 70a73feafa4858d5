#pragma once

#include <memory>

#include "base/clock.h"
#include "store/lease_store.h"

namespace sharedlock {

// Keeps everything in this process's memory: it is gone when the process ends. For tests and development. Revisions
// begin at the wall clock's microseconds, so that tokens grow from one start to the next. `clock` must outlive it.
std::unique_ptr<LeaseStore> make_memory_store(Clock& clock);

}  // namespace sharedlock
