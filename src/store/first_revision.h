#pragma once

#include "base/clock.h"
#include "store/lease_store.h"

namespace sharedlock {

// Where the revisions of a store in this process begin at its start: microseconds since 1970, so that fencing tokens
// don't fall when a store is new, or lost and made anew. Below 2^53, so exact in every JSON reader, until the year
// 2255.
inline Revision first_revision(const Clock& clock) {
  auto since_epoch = clock.wall_now().time_since_epoch();
  return Revision{std::chrono::floor<std::chrono::microseconds>(since_epoch).count()};
}

}  // namespace sharedlock
