#pragma once

#include <string>

#include "base/clock.h"

namespace sharedlock {

// RFC 3339 in UTC with milliseconds: "2025-01-01T00:00:00.000Z".
std::string to_rfc3339(WallTime time);

}  // namespace sharedlock
