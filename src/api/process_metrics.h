#pragma once

#include "telemetry/metrics_text.h"
#include "telemetry/process_stats.h"

namespace sharedlock {

// Adds what this process uses, under the names that Prometheus' client libraries give it. What is not known is left
// out: a zero would be believed.
void write_process_metrics(MetricsText& text, const ProcessStats& stats);

}  // namespace sharedlock
