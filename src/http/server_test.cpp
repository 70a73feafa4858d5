// The server as a whole: listening, many connections, drain and stop.
#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "http/test_server.h"

namespace sharedlock::http {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::string kGet = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kGetSlow = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n";

TEST(Server, SafetyR14_PortInUseIsAnErrorWithTheAddress) {
  TestServer first;
  Server second({.address = "127.0.0.1", .port = first.port()}, first.router, first.threads, first.clock, first.log);
  auto started = second.start();
  ASSERT_TRUE(started.has_error());
  EXPECT_EQ(started.error().code, Errc::invalid_argument);
  EXPECT_EQ(started.error().message,
            "can't listen on 127.0.0.1:" + std::to_string(first.port()) + ": address already in use");
  Server everywhere({.address = "", .port = first.port()}, first.router, first.threads, first.clock, first.log);
  EXPECT_TRUE(everywhere.start().has_error()) << "also by way of the dual-stack address";
}

TEST(Server, BadAddressesAreErrors) {
  TestServer base;
  for (const char* address : {"nowhere", "300.1.1.1", "192.0.2.1"}) {
    Server server({.address = address, .port = 0}, base.router, base.threads, base.clock, base.log);
    auto started = server.start();
    ASSERT_TRUE(started.has_error()) << address;
    EXPECT_THAT(started.error().message, HasSubstr(std::string("can't listen on ") + address + ":0: "));
  }
}

TEST(Server, AnEmptyAddressListensEverywhere) {
  TestServer server([](ServerOptions& options) { options.address = ""; });
  TestClient client(server.port());
  EXPECT_EQ(client.request("GET", "/hello").status, 200);
}

TEST(Server, APortIsFreeAgainAfterStop) {
  TestServer base;
  TestServer first;
  TestClient client(first.port());
  EXPECT_EQ(client.request("GET", "/hello").status, 200);
  first.server.stop();
  Server second({.address = "127.0.0.1", .port = first.port()}, base.router, base.threads, base.clock, base.log);
  EXPECT_FALSE(second.start().has_error());
}

TEST(Server, ServesThousandsOfConnections) {
  TestServer server;
  for (int i = 0; i < 3000; ++i) {
    TestClient client(server.port());
    if (i % 3 == 0) {
      ASSERT_EQ(client.request("GET", "/hello").status, 200);
    }
    if (i % 3 == 1) client.send(kGet);
  }
  EXPECT_TRUE(eventually([&] { return server.server.connections() == 0; }));
}

TEST(Server, ServesManyConnectionsAtOnce) {
  TestServer server;
  std::vector<TestClient> clients;
  for (int i = 0; i < 300; ++i) clients.emplace_back(server.port());
  for (auto& client : clients) client.send(kGet);
  for (auto& client : clients) EXPECT_EQ(client.read_response().body, "hello");
  EXPECT_EQ(server.server.connections(), 300u);
}

TEST(Server, SurvivesResetsAtAnyMoment) {
  TestServer server;
  for (std::size_t cut = 0; cut <= kGet.size(); ++cut) {
    TestClient client(server.port());
    client.send(kGet.substr(0, cut));
    client.reset();
  }
  TestClient large(server.port());
  large.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  large.reset();
  TestClient slow(server.port());
  slow.send(kGetSlow);
  EXPECT_TRUE(eventually([&] { return server.gate.entered == 1; }));
  slow.reset();
  server.gate.open = true;
  EXPECT_TRUE(eventually([&] { return server.server.connections() == 0; }));
  TestClient client(server.port());
  EXPECT_EQ(client.request("GET", "/hello").status, 200);
}

TEST(Server, TooManyConnectionsAreTurnedAway) {
  TestServer server([](ServerOptions& options) { options.max_connections = 2; });
  TestClient first(server.port());
  TestClient second(server.port());
  EXPECT_EQ(first.request("GET", "/hello").status, 200);
  EXPECT_EQ(second.request("GET", "/hello").status, 200);
  {
    TestClient third(server.port());
    third.send(kGet);
    auto response = third.read_response();
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.header("Connection"), "close");
    EXPECT_NE(response.header("X-Request-Id"), std::nullopt);
  }
  {
    TestClient leaving = std::move(first);
  }
  EXPECT_TRUE(eventually([&] { return server.server.connections() == 1; }));
  TestClient fourth(server.port());
  EXPECT_EQ(fourth.request("GET", "/hello").status, 200);
}

TEST(Server, GoesOnAfterRunningOutOfFileDescriptors) {
  TestServer server;
  TestClient ready(server.port());
  EXPECT_EQ(ready.request("GET", "/hello").status, 200);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  // The descriptor that this client takes is the last one that the process gets.
  int next = ::dup(0);
  ::close(next);
  rlimit tight{static_cast<rlim_t>(next) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  TestClient waiting(server.port());
  waiting.send(kGet);
  bool logged = eventually([&] { return server.log_file.text().find("can't accept") != std::string::npos; });
  std::string meanwhile = waiting.read_for(300);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(logged);
  EXPECT_EQ(meanwhile, "");
  EXPECT_EQ(waiting.read_response().status, 200);
  EXPECT_EQ(std::ranges::count(server.log_file.text(), '\n'), 1) << "logged once";
}

TEST(Server, DrainClosesIdleConnections) {
  TestServer server;
  TestClient fresh(server.port());
  TestClient used(server.port());
  EXPECT_EQ(used.request("GET", "/hello").status, 200);
  ASSERT_TRUE(eventually([&] { return server.server.connections() == 2; }));
  EXPECT_TRUE(server.server.drain(10s));
  EXPECT_EQ(server.server.connections(), 0u);
  EXPECT_EQ(fresh.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
  EXPECT_THROW(TestClient{server.port()}, std::runtime_error);
}

TEST(Server, DrainWaitsForARequestUnderWay) {
  TestServer server;
  TestClient client(server.port());
  client.send(kGetSlow);
  ASSERT_TRUE(eventually([&] { return server.gate.entered == 1; }));
  EXPECT_FALSE(server.server.drain(50ms)) << "still under way";
  std::thread drain([&] { EXPECT_TRUE(server.server.drain(10s)); });
  server.gate.open = true;
  auto response = client.read_response();
  EXPECT_EQ(response.body, "slow");
  EXPECT_EQ(response.header("Connection"), "close");
  client.finish_sending();
  EXPECT_EQ(client.read_to_end(), "");
  drain.join();
}

TEST(Server, DrainServesARequestThatHasBegunToArrive) {
  TestServer server;
  TestClient client(server.port());
  // After the 100 the server surely has the header.
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 100);
  EXPECT_FALSE(server.server.drain(50ms));
  client.send("hello");
  auto response = client.read_response();
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(response.header("Connection"), "close");
  client.finish_sending();
  EXPECT_TRUE(server.server.drain(10s));
}

TEST(Server, DrainAnswersOnlyTheFirstOfPipelinedRequests) {
  TestServer server;
  TestClient client(server.port());
  client.send(kGetSlow + kGet);
  ASSERT_TRUE(eventually([&] { return server.gate.entered == 1; }));
  EXPECT_FALSE(server.server.drain(50ms));
  server.gate.open = true;
  auto response = client.read_response();
  EXPECT_EQ(response.body, "slow");
  EXPECT_EQ(response.header("Connection"), "close") << "so the second request will have to be sent again";
  client.finish_sending();
  EXPECT_TRUE(server.server.drain(10s));
}

TEST(Server, StopClosesWhatIsUnderWay) {
  TestServer server;
  TestClient idle(server.port());
  TestClient half(server.port());
  half.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(half.read_response().status, 100);
  TestClient slow(server.port());
  slow.send(kGetSlow);
  ASSERT_TRUE(eventually([&] { return server.gate.entered == 1; }));
  std::thread stop([&] { server.server.stop(); });
  EXPECT_EQ(slow.read_to_end(), "") << "closed while the handler still runs";
  EXPECT_EQ(half.read_to_end(), "");
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_TRUE(eventually([&] { return server.server.connections() == 1; })) << "the handler finishes by itself";
  server.gate.open = true;
  stop.join();
  EXPECT_EQ(server.server.connections(), 0u);
  server.server.stop();
}

TEST(Server, StopWhileConnectionsArrive) {
  for (int round = 0; round < 20; ++round) {
    TestServer server;
    std::atomic<bool> done = false;
    std::thread clients([&] {
      while (!done) {
        try {
          TestClient client(server.port());
          client.request("GET", "/hello");
        } catch (const std::runtime_error&) {
        }
      }
    });
    EXPECT_TRUE(eventually([&] { return server.server.connections() > 0; }));
    if (round % 2 == 0) server.server.drain(10s);
    server.server.stop();
    EXPECT_EQ(server.server.connections(), 0u);
    done = true;
    clients.join();
  }
}

TEST(Server, ADrainLosesNoAnswer) {
  for (int round = 0; round < 20; ++round) {
    TestServer server;
    std::vector<TestClient> clients;
    for (int i = 0; i < 20; ++i) clients.emplace_back(server.port());
    for (auto& client : clients) EXPECT_EQ(client.request("GET", "/hello").status, 200);
    for (auto& client : clients) client.send(kGet);
    std::thread drain([&] { EXPECT_TRUE(server.server.drain(10s)); });
    for (auto& client : clients) {
      EXPECT_EQ(client.read_response().body, "hello") << "sent before the drain began";
      client.finish_sending();
    }
    drain.join();
  }
}

TEST(Server, CanBeDestroyedWithoutAStart) {
  TestServer base;
  Server server({.address = "127.0.0.1", .port = 0}, base.router, base.threads, base.clock, base.log);
  EXPECT_TRUE(server.drain(1s));
}

}  // namespace
}  // namespace sharedlock::http
