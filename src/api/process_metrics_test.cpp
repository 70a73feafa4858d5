#include "api/process_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ProcessMetrics, UnknownValuesAreLeftOut) {
  ProcessStats stats;
  stats.threads = 3;
  stats.start_seconds = 1.5;
  MetricsText text;
  write_process_metrics(text, stats);
  EXPECT_THAT(text.text(), HasSubstr("\nprocess_threads 3\n"));
  EXPECT_THAT(text.text(), HasSubstr("\nprocess_start_time_seconds 1.5\n"));
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}) {
    EXPECT_THAT(text.text(), Not(HasSubstr(name)));
  }
}

}  // namespace
}  // namespace sharedlock
