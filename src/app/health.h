#pragma once

#include "config/settings.h"

namespace sharedlock {

// `shared-lock health`: asks the server that these settings describe, on this machine, whether it is ready. Returns the
// exit code: 0 when it is; else 1, with the reason on stderr. Takes at most 3 seconds.
int health(const config::Settings& settings);

}  // namespace sharedlock
