#include "load/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "load/target.h"

namespace sharedlock::bench {
namespace {

using testing::HasSubstr;

TEST(BenchOptions, TheDefaultsAreFit) {
  EXPECT_EQ(fault_in(BenchOptions{}), std::nullopt);
}

TEST(BenchOptions, EachFaultIsNamed) {
  struct Case {
    std::string named;
    std::function<void(BenchOptions&)> spoil;
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Case cases[] = {
      {"--url", [](BenchOptions& o) { o.url = "localhost:8080"; }},
      {"--connections", [](BenchOptions& o) { o.connections = 0; }},
      {"--connections", [](BenchOptions& o) { o.connections = 100'001; }},
      {"--threads", [](BenchOptions& o) { o.threads = 0; }},
      {"--threads", [](BenchOptions& o) { o.threads = o.connections + 1; }},
      {"--seconds", [](BenchOptions& o) { o.seconds = 0; }},
      {"--seconds", [nan](BenchOptions& o) { o.seconds = nan; }},
      {"--warmup", [](BenchOptions& o) { o.warmup_seconds = -1; }},
      {"--rate", [](BenchOptions& o) { o.rate = 0; }},
      {"--rate", [nan](BenchOptions& o) { o.rate = nan; }},
      {"--requests", [](BenchOptions& o) { o.count = 0; }},
      {"--ttl", [](BenchOptions& o) { o.ttl_seconds = 0; }},
      {"--ttl", [](BenchOptions& o) { o.ttl_seconds = 86'401; }},
      {"--ttl", [](BenchOptions& o) { o.workload = Workload::refusals, o.ttl_seconds = 11; }},
      {"--keys", [](BenchOptions& o) { o.keys = 0; }},
      {"--name", [](BenchOptions& o) { o.name = "a name"; }},
      {"--name", [](BenchOptions& o) { o.name = std::string(33, 'a'); }},
      {"--path", [](BenchOptions& o) { o.path = "constant"; }},
      {"--path", [](BenchOptions& o) { o.path = "/a b"; }},
      {"--timeout", [](BenchOptions& o) { o.timeout_seconds = 0; }},
  };
  for (const Case& spoilt : cases) {
    BenchOptions options;
    spoilt.spoil(options);
    auto fault = fault_in(options);
    ASSERT_TRUE(fault) << spoilt.named;
    EXPECT_THAT(*fault, HasSubstr(spoilt.named));
  }
}

TEST(BenchOptions, OnlyWhatMustStayHeldNeedsALongTtl) {
  BenchOptions options;
  options.ttl_seconds = 1;
  options.workload = Workload::grants;
  EXPECT_EQ(fault_in(options), std::nullopt);
  options.workload = Workload::refusals;
  EXPECT_NE(fault_in(options), std::nullopt);
  options.count = 100;
  EXPECT_EQ(fault_in(options), std::nullopt) << "nobody knows how long these take";
}

TEST(BenchTarget, UrlsOfServers) {
  auto plain = parse_url("http://127.0.0.1:8080");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, 8080);
  EXPECT_EQ(plain->host_header, "127.0.0.1:8080");

  auto named = parse_url("http://lock.example/");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->host, "lock.example");
  EXPECT_EQ(named->port, 80);
  EXPECT_EQ(named->host_header, "lock.example");

  auto six = parse_url("http://[::1]:81");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->host_header, "[::1]:81");
  auto address = resolve(*six);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->bytes.ss_family, AF_INET6);
}

TEST(BenchTarget, AnythingButAServerUrlIsRefused) {
  for (const char* url : {"", "localhost", "localhost:8080", "https://localhost", "http://", "http://:8080",
                          "http://localhost:0", "http://localhost:99999", "http://localhost/lease",
                          "http://user@localhost", "http://localhost?x", "http://local host"}) {
    auto target = parse_url(url);
    ASSERT_FALSE(target) << url;
    EXPECT_EQ(target.error().code, Errc::invalid_argument);
    EXPECT_THAT(target.error().message, HasSubstr("\"" + std::string(url) + "\""));
  }
}

}  // namespace
}  // namespace sharedlock::bench
