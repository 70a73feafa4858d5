#include "load/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "load/server_cpu.h"

namespace sharedlock::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Report of_three_answers() {
  Report report;
  report.options.workload = Workload::refusals;
  report.options.connections = 2;
  for (int i = 1; i <= 3; ++i) report.tally.latency.record(microseconds(100 * i));
  report.tally.statuses[202] = 3;
  report.tally.answers = 4;
  report.tally.elapsed = seconds(2);
  report.tally.cpu = microseconds(10);
  return report;
}

TEST(BenchReport, CountsByTheSecondAndTheRequest) {
  Report report = of_three_answers();
  EXPECT_DOUBLE_EQ(report.requests_per_second(), 1.5);
  EXPECT_DOUBLE_EQ(report.client_cpu_per_request(), 2.5);
  EXPECT_EQ(report.server_cpu_per_request(), std::nullopt);
  report.server_cpu_seconds = 20e-6;
  EXPECT_DOUBLE_EQ(report.server_cpu_per_request().value_or(0), 5);
  EXPECT_TRUE(report.is_good());
}

TEST(BenchReport, AnEmptyReportDoesNotDivideByZero) {
  Report report;
  report.server_cpu_seconds = 1;
  EXPECT_EQ(report.requests_per_second(), 0);
  EXPECT_EQ(report.server_cpu_per_request(), std::nullopt);
  EXPECT_TRUE(boost::json::parse(to_json(report)).is_object());
}

// Unsent requests show in the latencies, but are not counted as answered.
TEST(BenchReport, UnsentRequestsAreNoThroughput) {
  Report report = of_three_answers();
  report.options.rate = 10;
  report.tally.not_sent = 1;
  EXPECT_DOUBLE_EQ(report.requests_per_second(), 1);
  EXPECT_THAT(to_text(report), HasSubstr("behind      1 requests were due"));
}

TEST(BenchReport, AbandonedRequestsAreNoThroughput) {
  Report report = of_three_answers();
  report.tally.unanswered = 1;
  EXPECT_EQ(report.answered(), 2U);
  EXPECT_DOUBLE_EQ(report.requests_per_second(), 1);
}

// Up to 5 % may be due to the last moment of a run; more means another load than was asked for.
TEST(BenchReport, ARunFarBehindItsScheduleIsNotGood) {
  Report report = of_three_answers();
  for (int i = 0; i < 97; ++i) report.tally.latency.record(microseconds(100));
  report.tally.not_sent = 5;
  EXPECT_TRUE(report.is_good());
  report.tally.not_sent = 6;
  EXPECT_FALSE(report.is_good());
  EXPECT_THAT(to_text(report), HasSubstr("FAILED      more than 5 %"));
}

TEST(BenchReport, AnythingUnexpectedIsNotGood) {
  for (std::uint64_t Failures::* kind :
       {&Failures::connect, &Failures::closed, &Failures::timeout, &Failures::malformed}) {
    Report report = of_three_answers();
    report.tally.failures.*kind = 1;
    EXPECT_FALSE(report.is_good());
    EXPECT_THAT(to_text(report), HasSubstr("FAILED      1 "));
  }
  Report report = of_three_answers();
  report.tally.unexpected = 1;
  EXPECT_FALSE(report.is_good());
  EXPECT_THAT(to_text(report), HasSubstr("FAILED      1 answers with another status"));
}

TEST(BenchReport, AsText) {
  Report report = of_three_answers();
  report.tally.statuses[202] = 1'234'567;
  EXPECT_THAT(to_text(report), AllOf(HasSubstr("refusals on http://127.0.0.1:8080: 2 connections, 1 thread, 2.00 s"),
                                     HasSubstr("p50 200 µs"), HasSubstr("max 300 µs"), HasSubstr("202: 1,234,567\n"),
                                     HasSubstr("server CPU  not told"), Not(HasSubstr("FAILED"))));
}

TEST(BenchReport, AsJson) {
  Report report = of_three_answers();
  report.failure = "a \"reason\"";
  auto object = boost::json::parse(to_json(report)).as_object();
  EXPECT_EQ(object.at("workload"), "refusals");
  EXPECT_EQ(object.at("requests"), 3);
  EXPECT_EQ(object.at("requests_per_second"), 1.5);
  EXPECT_EQ(object.at("statuses").at("202"), 3);
  EXPECT_EQ(object.at("latency_us").at("max"), 300.0);
  EXPECT_NEAR(object.at("latency_us").at("p50").as_double(), 200, 2);
  EXPECT_TRUE(object.at("server_cpu_us_per_request").is_null());
  EXPECT_TRUE(object.at("rate").is_null());
  EXPECT_EQ(object.at("failure"), "a \"reason\"");
}

TEST(BenchServerCpu, IsReadFromPrometheusText) {
  EXPECT_EQ(cpu_seconds_in("HTTP/1.1 200 OK\r\n\r\n# TYPE process_cpu_seconds_total counter\n"
                           "process_cpu_seconds_total 12.5\nother 1\n"),
            12.5);
  EXPECT_EQ(cpu_seconds_in("# process_cpu_seconds_total is not here\nxprocess_cpu_seconds_total 3\n"), std::nullopt);
  EXPECT_EQ(cpu_seconds_in("\nprocess_cpu_seconds_total many\n"), std::nullopt);
  EXPECT_EQ(cpu_seconds_in(""), std::nullopt);
}

}  // namespace
}  // namespace sharedlock::bench
