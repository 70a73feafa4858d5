#include "api/process_metrics.h"

#include <optional>

namespace sharedlock {

void write_process_metrics(MetricsText& text, const ProcessStats& stats) {
  if (stats.cpu_seconds) {
    text.counters("process_cpu_seconds_total", "User and system CPU time spent, in seconds.").add(*stats.cpu_seconds);
  }
  auto gauge = [&text](std::string_view name, std::string_view help, const auto& value) {
    if (value) text.gauges(name, help).add(static_cast<double>(*value));
  };
  gauge("process_resident_memory_bytes", "Resident memory, in bytes.", stats.resident_bytes);
  gauge("process_virtual_memory_bytes", "Virtual memory, in bytes.", stats.virtual_bytes);
  gauge("process_open_fds", "Open file descriptors.", stats.open_fds);
  gauge("process_max_fds", "How many file descriptors may be open.", stats.max_fds);
  gauge("process_threads", "Threads.", stats.threads);
  gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", stats.start_seconds);
}

}  // namespace sharedlock
