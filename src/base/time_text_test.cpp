#include "base/time_text.h"

#include <gtest/gtest.h>

namespace sharedlock {
namespace {

using namespace std::chrono_literals;

WallTime at(std::chrono::year_month_day date, std::chrono::nanoseconds time) {
  return WallTime(std::chrono::sys_days(date)) + time;
}

TEST(TimeText, PrintsRfc3339InUtcWithMilliseconds) {
  using std::chrono::year;
  EXPECT_EQ(to_rfc3339(WallTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_rfc3339(at(year(2025) / 1 / 1, 0s)), "2025-01-01T00:00:00.000Z");
  EXPECT_EQ(to_rfc3339(at(year(2025) / 12 / 31, 23h + 59min + 58s + 7ms)), "2025-12-31T23:59:58.007Z");
  EXPECT_EQ(to_rfc3339(at(year(2024) / 2 / 29, 1h + 2min + 3s + 456ms)), "2024-02-29T01:02:03.456Z");
  EXPECT_EQ(to_rfc3339(at(year(2100) / 3 / 1, 0s) - 1s), "2100-02-28T23:59:59.000Z");  // no leap year
}

TEST(TimeText, CutsOffWhatIsFinerThanAMillisecond) {
  EXPECT_EQ(to_rfc3339(WallTime(1s + 999'999'999ns)), "1970-01-01T00:00:01.999Z");
  EXPECT_EQ(to_rfc3339(WallTime(-1ns)), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace sharedlock
