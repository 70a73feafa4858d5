#include <csignal>
#include <fstream>
#include <sstream>

#include "api/api_test.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;
using testing::Not;

ProcessOptions memory_server(const Environment& more = {}) {
  return {.environment = ServerProcess::open_memory(more)};
}

// A connection with a request that has only begun to send its body; the server has surely read the header.
TestClient half_sent_grant(const ServerProcess& server, const std::string& body) {
  TestClient client = server.connect();
  client.send("POST /lease HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 100);
  client.send(body.substr(0, 4));
  return client;
}

TEST(ProcessEnd, SigtermClosesIdleConnectionsAndEndsWith0) {
  ServerProcess server(memory_server());
  TestClient idle = server.connect();
  EXPECT_EQ(idle.request("GET", "/health").status, 200);
  TestClient silent = server.connect();
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_THAT(server.err(), HasSubstr(R"("msg":"draining","signal":15)"));
  EXPECT_THAT(server.err(), HasSubstr(R"("msg":"stopped")"));
}

TEST(ProcessEnd, SigintIsTheSame) {
  ServerProcess server(memory_server());
  server.process().signal(SIGINT);
  EXPECT_EQ(server.process().wait(), 0);
}

TEST(ProcessEnd, SigtermWaitsForARequestUnderWay) {
  ServerProcess server(memory_server());
  const std::string body = R"({"key":"half"})";
  TestClient client = half_sent_grant(server, body);
  server.process().signal(SIGTERM);
  ASSERT_TRUE(server.says(R"("msg":"draining")"));
  EXPECT_TRUE(server.process().running());
  client.send(body.substr(4));
  auto response = client.read_response();
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.header("Connection"), "close");
  client.finish_sending();
  EXPECT_EQ(server.process().wait(), 0);
}

TEST(ProcessEnd, SigtermTakesNoNewConnections) {
  ServerProcess server(memory_server());
  const std::string body = R"({"key":"half"})";
  TestClient client = half_sent_grant(server, body);
  server.process().signal(SIGTERM);
  ASSERT_TRUE(server.says(R"("msg":"draining")"));
  EXPECT_TRUE(eventually([&] {
    try {
      return server.connect().read_to_end().empty();  // let in by the kernel before the server closed
    } catch (const std::runtime_error&) {
      return true;
    }
  }));
  client.send(body.substr(4));
  EXPECT_EQ(client.read_response().status, 201);
}

TEST(ProcessEnd, WithADrainDelayItServesOnButIsNotReady) {
  ServerProcess server(memory_server({{"SHARED_LOCK_SERVER_DRAIN_DELAY", "2s"}}));
  TestClient client = server.connect();
  EXPECT_EQ(client.request("GET", "/ready").header("Connection"), std::nullopt);
  auto begin = std::chrono::steady_clock::now();
  server.process().signal(SIGTERM);
  ASSERT_TRUE(server.says(R"("msg":"not ready")"));
  TestResponse ready;
  ASSERT_TRUE(eventually([&] {
    ready = server.ask("GET", "/ready");
    return ready.header("Connection") == "close";
  }));
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, "not ready: the server is about to stop");
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  EXPECT_EQ(server.ask("POST", "/lease", R"({"key":"late"})").status, 201) << "new connections are served";
  auto last = client.request("POST", "/lease", R"({"key":"last"})");
  EXPECT_EQ(last.status, 201) << "and those that were there";
  EXPECT_EQ(last.header("Connection"), "close");
  EXPECT_EQ(server.err().find(R"("msg":"draining")"), std::string::npos);
  EXPECT_EQ(server.process().wait(), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(ProcessEnd, ASecondSignalEndsADrainDelayAtOnce) {
  ServerProcess server(memory_server({{"SHARED_LOCK_SERVER_DRAIN_DELAY", "1h"}}));
  server.process().signal(SIGTERM);
  ASSERT_TRUE(server.says(R"("msg":"not ready","seconds":3600)"));
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  server.process().signal(SIGTERM);
  EXPECT_EQ(server.process().wait(), 128 + SIGTERM);
}

// A client that was connected before the drain may still ask.
TEST(ProcessEnd, WhileItDrainsItIsNotReady) {
  ServerProcess server(memory_server());
  TestClient silent = server.connect();
  const std::string body = R"({"key":"half"})";
  TestClient busy = half_sent_grant(server, body);
  server.process().signal(SIGTERM);
  ASSERT_TRUE(server.says(R"("msg":"draining")"));
  EXPECT_EQ(silent.request("GET", "/ready").status, 503);
  busy.send(body.substr(4));
  EXPECT_EQ(busy.read_response().status, 201);
}

TEST(ProcessEnd, ARequestThatNeverEndsIsCutOffAtHalfOfTheShutdownTimeout) {
  ServerProcess server(memory_server({{"SHARED_LOCK_SERVER_SHUTDOWN_TIMEOUT", "2s"}}));
  TestClient client = half_sent_grant(server, R"({"key":"half"})");
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(client.read_response().status, 408);
}

// Less time than it takes to look for the last connections in the kernel's queue.
TEST(ProcessEnd, ARequestUnansweredAfterTheShutdownTimeoutIsExitCode1) {
  ServerProcess server(memory_server({{"SHARED_LOCK_SERVER_SHUTDOWN_TIMEOUT", "5ms"}}));
  TestClient client = half_sent_grant(server, R"({"key":"half"})");
  EXPECT_EQ(server.stop(), 1);
  EXPECT_THAT(server.err(), HasSubstr("stopped with requests still under way"));
}

void expect_a_second_signal_to_end_it_at_once(int first, int second) {
  ServerProcess server(
      memory_server({{"SHARED_LOCK_SERVER_SHUTDOWN_TIMEOUT", "0"}, {"SHARED_LOCK_SERVER_READ_TIMEOUT", "0"}}));
  TestClient client = half_sent_grant(server, R"({"key":"half"})");
  server.process().signal(first);
  ASSERT_TRUE(server.says(R"("msg":"draining")"));
  EXPECT_TRUE(server.process().running());
  server.process().signal(second);
  EXPECT_EQ(server.process().wait(), 128 + second);
}

TEST(ProcessEnd, ASecondSignalEndsItAtOnce) {
  expect_a_second_signal_to_end_it_at_once(SIGTERM, SIGTERM);
}

// As a shell starts its background jobs, and as the first process of a container runs.
TEST(ProcessEnd, ASecondSignalEndsItAtOnceEvenIfItWasIgnored) {
  const auto before = std::signal(SIGINT, SIG_IGN);
  expect_a_second_signal_to_end_it_at_once(SIGINT, SIGINT);
  std::signal(SIGINT, before);
}

TEST(ProcessEnd, SighupAndSigpipeAreHarmless) {
  ServerProcess server(memory_server());
  for (int number : {SIGHUP, SIGPIPE, SIGHUP}) {
    server.process().signal(number);
    EXPECT_EQ(server.ask("GET", "/health").status, 200);
  }
  EXPECT_EQ(server.stop(), 0);
}

// A fault that comes once a year has to be understood from what it leaves behind.
TEST(ProcessEnd, ACrashLeavesALineWithABacktrace) {
  ServerProcess server(memory_server());
  server.process().signal(SIGABRT);
  EXPECT_EQ(server.process().wait(), 128 + SIGABRT);
  EXPECT_THAT(server.err(), HasSubstr(R"("level":"error","msg":"the process ends: SIGABRT","thread":")"));
  EXPECT_THAT(server.err(), HasSubstr(R"("backtrace":[")"));
}

TEST(ProcessStart, SaysWhereItServes) {
  ServerProcess server(memory_server({{"SHARED_LOCK_SERVER_ADDRESS", ""}}));
  std::istringstream lines(server.err());
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  auto said = object_of(line);
  EXPECT_EQ(said.at("level"), "note");
  EXPECT_EQ(said.at("msg"), "serving");
  EXPECT_EQ(said.at("address"), "*");
  EXPECT_EQ(said.at("storage"), "memory");
  EXPECT_EQ(said.at("port").as_int64(), server.port());
  EXPECT_EQ(server.ask("GET", "/health").status, 200);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_EQ(server.process().out(), "") << "nothing but results";
}

TEST(ProcessStart, ServesBothFamiliesUnlessToldOtherwise) {
  ServerProcess server(memory_server({{"SHARED_LOCK_SERVER_ADDRESS", ""}}));
  for (const char* address : {"127.0.0.1", "::1"}) {
    TestClient client(address, server.port());
    EXPECT_EQ(client.request("GET", "/health").status, 200) << address;
  }
}

// AddressLimit shows on a network of its own that the limit has effect elsewhere.
TEST(ProcessStart, TheLimitForEachAddressSparesThisMachineAndTrustedProxies) {
  ServerProcess server(memory_server({{"SHARED_LOCK_MAX_CONNECTIONS_PER_ADDRESS", "1"},
                                      {"SHARED_LOCK_TRUSTED_PROXIES", "127.0.0.8/29, ::1"},
                                      {"SHARED_LOCK_LOG", "info"}}));
  TestClient first = server.connect();
  EXPECT_EQ(first.request("GET", "/v1/space/lock/abc").status, 200);
  TestClient second = server.connect();
  EXPECT_EQ(second.request("GET", "/v1/space/lock/abc").status, 200);
  std::vector<TestClient> proxy;
  for (int i = 0; i < 3; ++i) {
    proxy.emplace_back("127.0.0.1", server.port(), "127.0.0.9");
    EXPECT_EQ(proxy.back().request("POST", "/lease", R"({"key":"k"})", "X-Forwarded-For: 192.0.2.7\r\n").status,
              i == 0 ? 201 : 202);
  }
  EXPECT_TRUE(server.says(R"("client":"192.0.2.7")"));
  EXPECT_THAT(server.err(), HasSubstr(R"("peer":"127.0.0.9:)"));
}

TEST(ProcessStart, APortInUseIsExitCode1AndASentence) {
  ServerProcess first(memory_server());
  std::string port = std::to_string(first.port());
  auto second = run_program({.arguments = {"serve", "--port", port}, .environment = ServerProcess::open_memory()});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(second.err, "shared-lock: can't listen on 127.0.0.1:" + port + ": address already in use\n");
  EXPECT_EQ(second.out, "");
  EXPECT_EQ(first.ask("GET", "/health").status, 200);
}

TEST(ProcessStart, RaisesTheSoftLimitOfOpenFiles) {
  ProcessOptions options = memory_server();
  options.soft_file_limit = 64;
  ServerProcess server(options);
  std::ifstream limits("/proc/" + std::to_string(server.process().pid()) + "/limits");
  std::string line;
  while (std::getline(limits, line) && !line.starts_with("Max open files")) {
  }
  std::istringstream words(line.substr(std::string_view("Max open files").size()));
  std::string soft;
  std::string hard;
  ASSERT_TRUE(words >> soft >> hard) << line;
  EXPECT_EQ(soft, hard);
  std::vector<TestClient> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(server.connect());
  EXPECT_EQ(clients.back().request("GET", "/health").status, 200) << "more than 64";
}

TEST(ProcessStart, StateIsNotSharedBetweenServers) {
  ServerProcess first(memory_server());
  ServerProcess second(memory_server());
  EXPECT_NE(first.port(), second.port());
  EXPECT_EQ(first.ask("POST", "/lease", R"({"key":"k"})").status, 201);
  EXPECT_EQ(second.ask("POST", "/lease", R"({"key":"k"})").status, 201);
}

// Restarted within the same second, a memory store must not give out the tokens of its last life again.
TEST(ProcessStart, FencingTokensGrowAcrossRestarts) {
  std::int64_t token = 0;
  for (int life = 0; life < 3; ++life) {
    ServerProcess server(memory_server());
    for (int i = 0; i < 10; ++i) {
      auto granted = server.ask("POST", "/lease", R"({"key":"key-)" + std::to_string(i) + "\"}");
      std::int64_t next = number_in(granted.header("x-fencing-token"));
      EXPECT_GT(next, token);
      token = next;
    }
    EXPECT_EQ(server.stop(), 0);
  }
}

}  // namespace
}  // namespace sharedlock::test
