#pragma once

#include "load/options.h"

namespace sharedlock::bench {

// Loads a server according to `options` and prints the results: on stdout as text or JSON, with a progress line on
// stderr when that is a terminal. SIGINT or SIGTERM ends it early, with the results so far; a second one at once.
// Returns the exit code: 0, or 1 when a request got an unexpected answer. The options must be valid (fault_in); call it
// once, from the only thread.
int run(const BenchOptions& options);

}  // namespace sharedlock::bench
