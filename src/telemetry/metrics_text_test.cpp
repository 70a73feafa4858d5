#include "telemetry/metrics_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "telemetry/thread_counters.h"

namespace sharedlock {
namespace {

using namespace std::chrono_literals;

TEST(MetricsText, FamiliesHaveOneHelpAndOneType) {
  MetricsText text;
  text.counters("cakes_total", "Cakes that were eaten.").add(3, {{"kind", "plain"}}).add(0, {{"kind", "\"nut\""}});
  text.gauges("guests", "Guests now.").add(7);
  EXPECT_EQ(text.text(),
            "# HELP cakes_total Cakes that were eaten.\n"
            "# TYPE cakes_total counter\n"
            "cakes_total{kind=\"plain\"} 3\n"
            "cakes_total{kind=\"\\\"nut\\\"\"} 0\n"
            "# HELP guests Guests now.\n"
            "# TYPE guests gauge\n"
            "guests 7\n");
}

TEST(MetricsText, BucketsAreCumulative) {
  LatencyCounts counts;
  counts.buckets[0] = 2;
  counts.buckets[1] = 3;
  counts.buckets.back() = 1;
  counts.nanoseconds = 1'500'000'000;
  std::string text = MetricsText().histograms("wait_seconds", "Waits.").add(counts, {{"who", "me"}}).text();
  for (const char* line :
       {"# TYPE wait_seconds histogram\n", "wait_seconds_bucket{who=\"me\",le=\"0.0001\"} 2\n",
        "wait_seconds_bucket{who=\"me\",le=\"0.00025\"} 5\n", "wait_seconds_bucket{who=\"me\",le=\"10\"} 5\n",
        "wait_seconds_bucket{who=\"me\",le=\"+Inf\"} 6\n", "wait_seconds_count{who=\"me\"} 6\n",
        "wait_seconds_sum{who=\"me\"} 1.5\n"}) {
    EXPECT_THAT(text, testing::HasSubstr(line));
  }
}

TEST(Latency, ABoundIsWithinItsBucket) {
  EXPECT_EQ(latency_bucket(-1ns), 0U);
  EXPECT_EQ(latency_bucket(100us), 0U);
  EXPECT_EQ(latency_bucket(100us + 1ns), 1U);
  EXPECT_EQ(latency_bucket(10s), kLatencyBounds.size() - 1);
  EXPECT_EQ(latency_bucket(10s + 1ns), kLatencyBounds.size());
  EXPECT_EQ(latency_nanoseconds(-1ns), 0U);
}

TEST(ThreadCounters, AddUpOverMoreThreadsThanHaveTheirOwn) {
  constexpr int kThreads = 40;
  constexpr int kEach = 1000;
  ThreadCounters<2> counters;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&counters] {
      for (int n = 0; n < kEach; ++n) counters.add(1, 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counters.sum(0), 0U);
  EXPECT_EQ(counters.sum(1), std::uint64_t{2} * kThreads * kEach);
}

}  // namespace
}  // namespace sharedlock
