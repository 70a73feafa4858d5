#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "store/lease_store.h"

namespace sharedlock {

// Where the revisions of an in-process store begin at its start: microseconds since 1970, so that fencing tokens don't
// fall when a store is new, or was lost and recreated.
inline Revision first_revision(const Clock& clock) {
  auto since_epoch = clock.wall_now().time_since_epoch();
  return Revision{std::chrono::floor<std::chrono::microseconds>(since_epoch).count()};
}

// No store may begin above this: revisions are shown as JSON numbers, which many readers take for doubles, exact up to
// 2^53 (the microseconds of the year 2255). The rest suffices for 2,000 years of a thousand changes a second.
inline constexpr Revision kLastFirstRevision{(std::int64_t{1} << 53) - (std::int64_t{1} << 46)};

inline Error revisions_too_high(Revision first) {
  return {Errc::invalid_argument, "fencing tokens would begin at " + std::to_string(number_of(first)) +
                                      ", too high to be exact in JSON: is the wall clock centuries ahead, or was it?"};
}

}  // namespace sharedlock
