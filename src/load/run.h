#pragma once

#include "load/options.h"

namespace sharedlock::bench {

// Loads a server as `options` say and prints what it found: on stdout as text or JSON, with a line about its progress
// on stderr when that is a terminal. SIGINT or SIGTERM ends it early, with what was measured so far; a second one at
// once. Returns the exit code: 0, or 1 when a request was not answered as it was meant to be. The options are fit
// (fault_in); call it once, from the only thread.
int run(const BenchOptions& options);

}  // namespace sharedlock::bench
