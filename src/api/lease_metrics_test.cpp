#include "api/lease_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sharedlock {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr char kDuration[] = "shared_lock_lease_grant_duration_seconds";

std::string operation_line(const std::string& operation, const std::string& status, int count) {
  return "\nshared_lock_lease_operations_total{operation=\"" + operation + "\",status=\"" + status + "\"} " +
         std::to_string(count) + "\n";
}

std::string bucket_line(const std::string& operation, const std::string& bound, int count) {
  return std::string("\n") + kDuration + "_bucket{operation=\"" + operation + "\",le=\"" + bound + "\"} " +
         std::to_string(count) + "\n";
}

std::string text_of(const LeaseMetrics& metrics) {
  MetricsText text;
  metrics.write(text, {});
  return text.text();
}

struct OperationCase {
  LeaseOperation operation;
  std::string label;
  std::string status;
};

TEST(LeaseMetrics, OperationsAreCountedUnderTheirLabels) {
  const OperationCase cases[] = {{LeaseOperation::get_created, "get", "created"},
                                 {LeaseOperation::get_accepted, "get", "accepted"},
                                 {LeaseOperation::get_error, "get", "error"},
                                 {LeaseOperation::prolong_success, "prolong", "success"},
                                 {LeaseOperation::prolong_failure, "prolong", "failure"}};
  for (const OperationCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.label));
    LeaseMetrics metrics;
    metrics.count(given.operation, 3ms);
    metrics.count(given.operation, 3ms);
    std::string text = text_of(metrics);
    EXPECT_THAT(text, HasSubstr(operation_line(given.label, given.status, 2)));
    EXPECT_THAT(text, HasSubstr(std::string(kDuration) + "_count{operation=\"" + given.label + "\"} 2\n"));
    std::string other = given.label == "get" ? "prolong" : "get";
    EXPECT_THAT(text, HasSubstr(std::string(kDuration) + "_count{operation=\"" + other + "\"} 0\n"));
  }
}

TEST(LeaseMetrics, ShowEverySeriesFromTheBeginning) {
  std::string text = text_of(LeaseMetrics());
  for (const char* type : {"# TYPE shared_lock_lease_operations_total counter\n",
                           "# TYPE shared_lock_lease_grant_duration_seconds histogram\n",
                           "# TYPE shared_lock_cache_operations_total counter\n"}) {
    EXPECT_THAT(text, HasSubstr(type));
  }
  for (const char* labels : {R"(operation="get",status="created")", R"(operation="get",status="accepted")",
                             R"(operation="get",status="error")", R"(operation="prolong",status="success")",
                             R"(operation="prolong",status="failure")"}) {
    EXPECT_THAT(text, HasSubstr("shared_lock_lease_operations_total{" + std::string(labels) + "} 0\n"));
  }
  for (const char* labels :
       {R"(operation="get",status="hit")", R"(operation="get",status="miss")", R"(operation="get",status="expired")",
        R"(operation="set",status="success")", R"(operation="set",status="update")",
        R"(operation="evict",status="size_limit")", R"(operation="cleanup",status="expired")"}) {
    EXPECT_THAT(text, HasSubstr("shared_lock_cache_operations_total{" + std::string(labels) + "} 0\n"));
  }
}

TEST(LeaseMetrics, BucketsAreCumulativeAndIncludeTheirBound) {
  LeaseMetrics metrics;
  metrics.count(LeaseOperation::get_created, 100us);  // exactly the first bound
  metrics.count(LeaseOperation::get_created, 101us);
  metrics.count(LeaseOperation::get_created, 10s);  // exactly the last bound
  metrics.count(LeaseOperation::get_created, 11s);
  std::string text = text_of(metrics);
  EXPECT_THAT(text, HasSubstr(bucket_line("get", "0.0001", 1)));
  EXPECT_THAT(text, HasSubstr(bucket_line("get", "0.00025", 2)));
  EXPECT_THAT(text, HasSubstr(bucket_line("get", "5", 2)));
  EXPECT_THAT(text, HasSubstr(bucket_line("get", "10", 3)));
  EXPECT_THAT(text, HasSubstr(bucket_line("get", "+Inf", 4)));
  EXPECT_THAT(text, HasSubstr(bucket_line("prolong", "+Inf", 0)));
  EXPECT_THAT(text, HasSubstr(std::string("\n") + kDuration + "_count{operation=\"get\"} 4\n"));
  EXPECT_THAT(text, HasSubstr(std::string("\n") + kDuration + "_sum{operation=\"get\"} 21.000201"));
}

TEST(LeaseMetrics, ATimeThatWentBackwardsCountsAsNone) {
  LeaseMetrics metrics;
  metrics.count(LeaseOperation::prolong_success, -5ms);
  std::string text = text_of(metrics);
  EXPECT_THAT(text, HasSubstr(bucket_line("prolong", "0.0001", 1)));
  EXPECT_THAT(text, HasSubstr(std::string("\n") + kDuration + "_sum{operation=\"prolong\"} 0\n"));
}

TEST(LeaseMetrics, ManyThreadsCountTogether) {
  constexpr int kThreads = 40;  // more than there are slots
  constexpr int kEach = 500;
  LeaseMetrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&metrics] {
      for (int n = 0; n < kEach; ++n) metrics.count(LeaseOperation::get_accepted, 1ms);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string text = text_of(metrics);
  EXPECT_THAT(text, HasSubstr(operation_line("get", "accepted", kThreads * kEach)));
  EXPECT_THAT(text, HasSubstr(bucket_line("get", "0.001", kThreads * kEach)));
  EXPECT_THAT(text, HasSubstr(bucket_line("get", "0.0005", 0)));
}

}  // namespace
}  // namespace sharedlock
