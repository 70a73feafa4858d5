#include "base/go_duration.h"

#include <gtest/gtest.h>

#include <limits>

namespace sharedlock {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

struct Case {
  std::string_view text;
  nanoseconds expected;
};

TEST(GoDuration, ParsesWhatGoParses) {
  const Case cases[] = {
      {"0", 0ns},
      {"+0", 0ns},
      {"-0", 0ns},
      {"0s", 0ns},
      {"5s", 5s},
      {"60s", 60s},
      {"+5s", 5s},
      {"-5s", -5s},
      {"1m30s", 90s},
      {"1.5h", 90min},
      {"-1.5h", -90min},
      {"300ms", 300ms},
      {"10ns", 10ns},
      {"11us", 11us},
      {"12\u00b5s", 12us},
      {"12\u03bcs", 12us},
      {"3h30m", 210min},
      {"10.5s4m", 4min + 10500ms},
      {"1h2m3s4ms5us6ns", 1h + 2min + 3s + 4ms + 5us + 6ns},
      {".5s", 500ms},
      {"5.s", 5s},
      {"1.0s", 1s},
      {"1.004s", 1004ms},
      {"100.00100s", 100001ms},
      {"39h9m14.425s", 39h + 9min + 14425ms},
      {"0.3333333333333333333h", 20min},
      {"0.9223372036854775807h", nanoseconds(3'320'413'933'267)},
      {"9223372036854775.807us", nanoseconds::max()},
      {"9223372036854775807ns", nanoseconds::max()},
      {"-9223372036854775808ns", nanoseconds::min()},
      {"-2562047h47m16.854775808s", nanoseconds::min()},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(parse_go_duration(text), expected) << text;
  }
}

TEST(GoDuration, ReadsFractionsExactlyAndDropsDigitsBeyond63Bits) {
  EXPECT_EQ(parse_go_duration("0.100000000000000000000h"), 6min);
  EXPECT_EQ(parse_go_duration("0.830103483285477580700h"), 49min + 48372539827ns);
}

TEST(GoDuration, RefusesEverythingElse) {
  for (const std::string_view text :
       {"",    " ",  "3",    "10",   "-",     "+",    "s",     ".",    "-.",    ".s",       "+.s",  "1d",  "1 s", " 1s",
        "1s ", "1S", "1sec", "--1s", "1s-1s", "1e3s", "0x10s", "1,5s", "1..5s", "\x85\x85", "1m30", "ms1", "00"}) {
    EXPECT_EQ(parse_go_duration(text), std::nullopt) << '"' << text << '"';
  }
}

TEST(GoDuration, RefusesWhatDoesNotFit) {
  for (const std::string_view text :
       {"9223372036854775808ns", "9223372036854775.808us", "-9223372036854775809ns", "3000000h", "2562047h47m17s",
        "9223372036854775810ns", "92233720368547758070ns", "99999999999999999999999s", "9223372036854775807ns1ns",
        "9223372036854775807ns9223372036854775807ns9223372036854775807ns"}) {
    EXPECT_EQ(parse_go_duration(text), std::nullopt) << text;
  }
}

TEST(GoDuration, PrintsAsGoPrints) {
  const std::pair<nanoseconds, std::string_view> cases[] = {
      {0ns, "0s"},
      {1ns, "1ns"},
      {1100ns, "1.1\u00b5s"},
      {2200us, "2.2ms"},
      {300ms, "300ms"},
      {10s, "10s"},
      {1500ms, "1.5s"},
      {90s, "1m30s"},
      {120s, "2m0s"},
      {4min + 5s, "4m5s"},
      {4min + 5001ms, "4m5.001s"},
      {5h + 6min + 7001ms, "5h6m7.001s"},
      {24h, "24h0m0s"},
      {8min + 1ns, "8m0.000000001s"},
      {-90s, "-1m30s"},
      {nanoseconds::max(), "2562047h47m16.854775807s"},
      {nanoseconds::min(), "-2562047h47m16.854775808s"},
  };
  for (const auto& [duration, expected] : cases) {
    EXPECT_EQ(to_go_duration(duration), expected);
  }
}

TEST(GoDuration, ReadsBackWhatItPrints) {
  for (const std::int64_t count : {std::int64_t{1}, std::int64_t{999}, std::int64_t{1'001}, std::int64_t{123'456'789},
                                   std::int64_t{3'600'000'000'001}, std::numeric_limits<std::int64_t>::max(),
                                   std::numeric_limits<std::int64_t>::min()}) {
    EXPECT_EQ(parse_go_duration(to_go_duration(nanoseconds(count))), nanoseconds(count));
  }
}

}  // namespace
}  // namespace sharedlock
