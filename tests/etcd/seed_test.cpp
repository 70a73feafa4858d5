// What the documentation of the two replaced services shows, on a real etcd where they look for it: port 2379.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "etcd/service_on_etcd.h"
#include "etcd/stored.h"
#include "support/etcd_tls_files.h"
#include "support/network.h"

namespace sharedlock::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

// Runs a command as it is written there; returns the status and the body.
std::pair<int, std::string> run_example(const std::string& command) {
  auto ended =
      run_program({.program = "/bin/sh",
                   .arguments = {"-c", command + " --silent --show-error --max-time 20 --write-out '\n%{http_code}'"},
                   .environment = {{"PATH", "/usr/bin:/bin"}}});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  auto line = ended.out.rfind('\n');
  return {std::stoi(ended.out.substr(line + 1)), ended.out.substr(0, line)};
}

constexpr char kCreateLease[] = R"(
     curl -X POST http://localhost:8080/lease \
          -H "Content-Type: application/json" \
          -H "x-lease-ttl: 60s" \
          -d '{"key": "value"}')";
constexpr char kKeepAlive[] = R"(
     curl -X POST http://localhost:8080/keepalive \
          -H "Content-Type: application/json" \
          -d "12345")";
constexpr char kHealth[] = R"(
     curl -X GET http://localhost:8080/health)";

TEST(EtcdSeed, WithoutSettingsEtcdIsFoundAtItsDefaultPort) {
  enter_own_network();
  EtcdServer etcd(
      {.places = {{.client_address = "127.0.0.1", .peer_address = "127.0.0.1", .launcher = {}}}, .client_port = 2379});
  Process program({.arguments = {"serve"}});
  ASSERT_TRUE(eventually([&] { return serving_port(program.err()) || !program.running(); })) << program.err();
  ASSERT_EQ(serving_port(program.err()), 8080) << program.err();
  http::TestClient client(8080);
  ASSERT_TRUE(eventually([&] { return client.request("GET", "/ready").status == 200; })) << program.err();

  EXPECT_EQ(run_example(kHealth).first, 200);
  auto [status, id] = run_example(kCreateLease);
  EXPECT_EQ(status, 201);
  EXPECT_THAT(id, MatchesRegex("[1-9][0-9]*"));
  EXPECT_EQ(run_example(kCreateLease).first, 202);
  EXPECT_EQ(run_example(kKeepAlive).first, 204) << "no such lease";
  std::string keep_alive = kKeepAlive;
  keep_alive.replace(keep_alive.find("12345"), 5, id);
  EXPECT_EQ(run_example(keep_alive).first, 200);

  auto key = stored(etcd, "/shared-lock/value");
  EXPECT_TRUE(key.found);
  EXPECT_EQ(stored(etcd, "/shared-lock.id/" + id).value, "60 /shared-lock/value");
  EXPECT_THAT(etcd.etcdctl({"get", "--prefix", "/shared-lock/"}), HasSubstr("/shared-lock/value\n"));
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 0) << program.err();
}

TEST(EtcdSeed, TheExampleConfiguration) {
  EtcdTlsFiles files;
  EtcdServer etcd({.members = 3, .tls = files.server()});
  etcd.enable_authentication("lockservice", "secret");
  std::string endpoints;
  for (const std::string& url : etcd.urls()) endpoints += (endpoints.empty() ? "http://" : ",http://") + url.substr(8);
  // As it is shown there, but for hosts and paths.
  std::string properties = files.write("application.properties",
                                       "# etcd endpoints (comma-separated for cluster)\n"
                                       "locker.etcd.endpoints=" +
                                           endpoints +
                                           "\n"
                                           "\n"
                                           "# Key prefix\n"
                                           "locker.etcd.keyPrefix=myapp/locks/\n"
                                           "\n"
                                           "# Timeouts\n"
                                           "locker.etcd.requestTimeoutMs=10000\n"
                                           "locker.etcd.maxRetries=5\n"
                                           "\n"
                                           "# TLS (optional)\n"
                                           "locker.etcd.tls.enabled=true\n"
                                           "locker.etcd.tls.caCertPath=" +
                                           files.ca() +
                                           "\n"
                                           "locker.etcd.tls.clientCertPath=" +
                                           files.client_certificate() +
                                           "\n"
                                           "locker.etcd.tls.clientKeyPath=" +
                                           files.client_key() +
                                           "\n"
                                           "\n"
                                           "# Authentication (optional)\n"
                                           "locker.etcd.auth.username=lockservice\n"
                                           "locker.etcd.auth.password=secret\n");
  ServerProcess server(
      {.arguments = {"--config", properties},
       .environment = {{"AUTHENTICATION_DISABLED", "true"}, {"SHARED_LOCK_SERVER_ADDRESS", "127.0.0.1"}}});
  ASSERT_TRUE(eventually([&] { return server.ask("GET", "/ready").status == 200; })) << server.err();
  auto acquired =
      server.ask("POST", "/v1/default/lock/example/acquire", R"({"instanceId":"instance-1","leaseDuration":60})");
  EXPECT_EQ(acquired.status, 200) << acquired.body;
  auto key = stored(etcd, "myapp/locks/default:example");
  EXPECT_THAT(key.value, HasSubstr(R"("lockName":"example")"));
  EXPECT_THAT(stored_lease(etcd, key.lease).keys, ElementsAre("myapp/locks/default:example"));
}

}  // namespace
}  // namespace sharedlock::test
