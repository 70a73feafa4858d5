#include "api/api_test.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Ops : public OnServer<OpenMemory> {
 protected:
  // The value of one series.
  double metric(const std::string& series) {
    std::string text = "\n" + ask("GET", "/metrics").body;
    std::size_t line = text.find("\n" + series + " ");
    if (line == std::string::npos) return -1;
    return std::stod(text.substr(line + series.size() + 2));
  }
};

TEST_F(Ops, HealthAndReadinessAre200) {
  auto health = ask("GET", "/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(health.header("Content-Type"), "text/plain; charset=utf-8");
  auto actuator = ask("GET", "/actuator/health");
  EXPECT_EQ(actuator.status, 200);
  EXPECT_EQ(actuator.body, R"({"status":"UP"})");
  EXPECT_EQ(actuator.header("Content-Type"), "application/json");
  EXPECT_EQ(ask("GET", "/ready").status, 200);
}

TEST_F(Ops, MetricsArePrometheusText) {
  auto metrics = ask("GET", "/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_EQ(metrics.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(metrics.body, HasSubstr("# TYPE shared_lock_lease_operations_total counter\n"));
  EXPECT_THAT(metrics.body, HasSubstr("# TYPE shared_lock_lease_grant_duration_seconds histogram\n"));
  EXPECT_THAT(metrics.body, HasSubstr("# TYPE shared_lock_cache_operations_total counter\n"));
}

TEST_F(Ops, MetricsCountWhatHappened) {
  struct Count {
    std::string series;
    double before;
    double more;
  };
  const std::string operations = "shared_lock_lease_operations_total{operation=";
  const std::string durations = "shared_lock_lease_grant_duration_seconds_";
  Count counts[] = {{operations + R"("get",status="created"})", 0, 3},
                    {operations + R"("get",status="accepted"})", 0, 2},
                    {operations + R"("get",status="error"})", 0, 0},
                    {operations + R"("prolong",status="success"})", 0, 1},
                    {operations + R"("prolong",status="failure"})", 0, 2},
                    {durations + R"(count{operation="get"})", 0, 5},
                    {durations + R"(count{operation="prolong"})", 0, 3},
                    {durations + R"(bucket{operation="get",le="+Inf"})", 0, 5},
                    {durations + R"(bucket{operation="prolong",le="+Inf"})", 0, 3},
                    {R"(shared_lock_cache_operations_total{operation="get",status="hit"})", 0, 0}};
  for (Count& count : counts) {
    count.before = metric(count.series);
    EXPECT_GE(count.before, 0) << count.series;
  }
  double seconds = metric(durations + R"(sum{operation="get"})");

  std::string id;
  for (const char* key : {"a", "b", "c"}) id = post("/lease", R"({"key":")" + std::string(key) + "\"}").body;
  for (const char* key : {"a", "b"}) post("/lease", R"({"key":")" + std::string(key) + "\"}");
  post("/keepalive", id);
  post("/keepalive", "12345");
  post("/keepalive", "-1");

  for (const Count& count : counts) EXPECT_EQ(metric(count.series), count.before + count.more) << count.series;
  EXPECT_GT(metric(durations + R"(sum{operation="get"})"), seconds);
}

TEST_F(Ops, MetricsShowTheProcess) {
  EXPECT_GT(metric("process_cpu_seconds_total"), 0);
  EXPECT_GT(metric("process_resident_memory_bytes"), 1e6);
  EXPECT_GT(metric("process_open_fds"), 5);
  EXPECT_GE(metric("process_max_fds"), metric("process_open_fds"));
  EXPECT_GE(metric("process_threads"), 3);
  EXPECT_NEAR(metric("process_start_time_seconds"), static_cast<double>(epoch_now()), 120);
  EXPECT_EQ(metric("shared_lock_http_connections"), 1);
}

TEST_F(Ops, MetricsCountRequestsByThePatternOfTheirRoute) {
  const std::string requests = R"(shared_lock_http_requests_total{route="/v1/{namespace}/lock/{lockName}/acquire",)";
  const std::string took =
      R"(shared_lock_http_request_duration_seconds_count{route="/v1/{namespace}/lock/{lockName}/acquire",method="POST"})";
  const std::string operations = R"(shared_lock_lock_operations_total{operation="acquire",outcome=)";
  double granted = metric(operations + "\"success\"}");
  for (const char* name : {"one", "two"}) {
    std::string target = std::string("/v1/counted/lock/lock-") + name + "/acquire";
    EXPECT_EQ(post(target, R"({"instanceId":"instance-1","leaseDuration":60})").status, 200);
    EXPECT_EQ(post(target, R"({"instanceId":"instance-2","leaseDuration":60})").status, 423);
  }
  EXPECT_EQ(post("/v1/counted/lock/lock-one/acquire", "{}").status, 400);
  EXPECT_EQ(ask("GET", "/no/such/path").status, 404);

  EXPECT_EQ(metric(requests + R"(method="POST",status="423"})"), 2);
  EXPECT_EQ(metric(requests + R"(method="POST",status="400"})"), 1);
  EXPECT_GE(metric(took), 5);
  EXPECT_EQ(metric(operations + "\"success\"}"), granted + 2);
  EXPECT_EQ(metric(operations + "\"refused\"}"), 2);
  EXPECT_EQ(metric(operations + "\"invalid\"}"), 1);
  EXPECT_GE(metric(R"(shared_lock_http_requests_total{route="none",method="GET",status="404"})"), 1);
  EXPECT_THAT(ask("GET", "/metrics").body, Not(HasSubstr("lock-one")));
}

TEST_F(Ops, LocksAreNoLeasesInTheMetrics) {
  const std::string created = R"(shared_lock_lease_operations_total{operation="get",status="created"})";
  double before = metric(created);
  EXPECT_EQ(post("/v1/space/lock/abc/acquire", R"({"instanceId":"instance-1","leaseDuration":60})").status, 200);
  EXPECT_EQ(metric(created), before);
}

}  // namespace
}  // namespace sharedlock::test
