#pragma once

#include <cstddef>

#include "base/log.h"
#include "config/settings.h"

namespace sharedlock {

// How many connections may be open with so many file descriptors and I/O threads: all but a reserve, at most half of
// them, for the store's files, the log, what the threads need, and those connections that are being turned away. A
// store that gets no descriptor for a file takes no write any more, so connections must not have the last ones.
std::size_t connections_that_fit(std::size_t descriptors, std::size_t threads);

// Raises the soft limit of open files to the hard one, and returns the settings with what this machine sets: the number
// of threads, where it was left to us, and max_connections, which is never 0 (no limit) afterwards and not more than
// fits. The log warns where that is less than what was set.
config::Settings fitted_to_machine(config::Settings settings, Log& log);

}  // namespace sharedlock
