#pragma once

#include <cstddef>
#include <cstdint>

#include "base/log.h"
#include "config/settings.h"

namespace sharedlock {

// How many connections may be open with that many file descriptors and I/O threads: all but a reserve, at most half of
// them, for the store's files, the log, the threads' needs, and connections beyond the limits. A store that gets no
// descriptor for a file accepts no more writes, so connections must not take the last ones.
std::size_t connections_that_fit(std::size_t descriptors, std::size_t threads);

// Fills in limits that follow from others if they were not set: half of all connections for each address (and 0, no
// limit, if all were allowed); half of the connections, or of the requests in flight, for requests that wait in queues,
// so that as many are left for holders and newcomers (R36); an eighth of `memory` (bytes) for requests, at most 256
// MiB. max_connections must be set.
config::Settings with_derived_limits(config::Settings settings, std::uint64_t memory);

// Raises the soft limit of open files to the hard one, and returns the settings with the values that depend on this
// machine: the number of threads, if it was left to us, and max_connections, which is then never 0 (no limit) and never
// more than fits. The log warns if that is less than what was set. Limits that follow from it are set too.
config::Settings fitted_to_machine(config::Settings settings, Log& log);

}  // namespace sharedlock
