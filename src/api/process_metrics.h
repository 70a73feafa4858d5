#pragma once

#include "telemetry/metrics_text.h"
#include "telemetry/process_stats.h"

namespace sharedlock {

// Adds this process's resource usage, under the names used by Prometheus' client libraries. Unknown values are left
// out: a zero would be believed.
void write_process_metrics(MetricsText& text, const ProcessStats& stats);

}  // namespace sharedlock
