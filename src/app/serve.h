#pragma once

#include "config/loader.h"

namespace sharedlock {

// `shared-lock serve`: serves until SIGTERM or SIGINT, then answers the requests in progress within the shutdown
// timeout; a second signal ends the process at once. SIGHUP, SIGPIPE and SIGXFSZ do nothing. Returns the process's exit
// code: 0 after a clean end, 1 when it could not start or had to cut requests off, 2 when the settings don't allow a
// start.
int serve(const config::LoadedSettings& loaded);

}  // namespace sharedlock
