#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "load/target.h"

namespace sharedlock::bench {

// The CPU seconds that the server has used since its start, from its /metrics (process_cpu_seconds_total). Nothing when
// it does not report them, or does not answer within 2 s. Blocks.
std::optional<double> server_cpu_seconds(const Target& target);

// The same from a text in Prometheus' format; a header before it does no harm.
std::optional<double> cpu_seconds_in(std::string_view metrics);

}  // namespace sharedlock::bench
