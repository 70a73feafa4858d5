#include "api/lock_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sharedlock {
namespace {

using testing::HasSubstr;

std::string text_of(const LockMetrics& metrics, std::chrono::seconds clock_skew = {}) {
  MetricsText text;
  metrics.write(text, clock_skew, /*waiters=*/3);
  return text.text();
}

std::string line(const std::string& operation, const std::string& outcome, int count) {
  return "shared_lock_lock_operations_total{operation=\"" + operation + "\",outcome=\"" + outcome + "\"} " +
         std::to_string(count) + "\n";
}

TEST(LockMetrics, ShowEverySeriesFromTheBeginning) {
  std::string text = text_of(LockMetrics());
  for (const char* operation : {"get", "acquire", "renew", "release", "verify", "force-release"}) {
    for (const char* outcome : {"success", "refused", "invalid", "error"}) {
      EXPECT_THAT(text, HasSubstr(line(operation, outcome, 0)));
    }
  }
}

TEST(LockMetrics, ShowTheClockSkew) {
  EXPECT_THAT(text_of(LockMetrics(), std::chrono::seconds(-7)),
              HasSubstr("\nshared_lock_clock_difference_seconds -7\n"));
}

TEST(LockMetrics, TheOutcomeFollowsFromTheStatus) {
  LockMetrics metrics;
  metrics.count(LockOperation::acquire, 200);
  metrics.count(LockOperation::acquire, 200);
  metrics.count(LockOperation::acquire, 423);
  metrics.count(LockOperation::renew, 400);
  metrics.count(LockOperation::release, 503);
  metrics.count(LockOperation::get, 500);
  std::string text = text_of(metrics);
  for (const std::string& expected :
       {line("acquire", "success", 2), line("acquire", "refused", 1), line("renew", "invalid", 1),
        line("release", "error", 1), line("get", "error", 1), line("get", "success", 0)}) {
    EXPECT_THAT(text, HasSubstr(expected));
  }
}

}  // namespace
}  // namespace sharedlock
