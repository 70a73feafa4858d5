#include "api/api_test.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;
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

TEST_F(Ops, LocksAreNoLeasesInTheMetrics) {
  const std::string created = R"(shared_lock_lease_operations_total{operation="get",status="created"})";
  double before = metric(created);
  EXPECT_EQ(post("/v1/space/lock/abc/acquire", R"({"instanceId":"instance-1","leaseDuration":60})").status, 200);
  EXPECT_EQ(metric(created), before);
}

}  // namespace
}  // namespace sharedlock::test
