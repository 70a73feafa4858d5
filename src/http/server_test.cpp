// The server as a whole: listening, many connections, stop. For the drain see drain_test.cpp.
#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <future>
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

TEST(Server, PipelinedRequestsLeaveOthersTheirTurn) {
  TestServer server({}, LogLevel::info);
  TestClient first(server.port());
  TestClient elsewhere(server.port());
  TestClient second(server.port());
  for (TestClient* client : {&first, &elsewhere, &second}) EXPECT_EQ(client->request("GET", "/empty").status, 204);
  // Their thread is busy until both clients have sent everything.
  std::promise<void> begun;
  std::promise<void> sent;
  asio::post(server.threads.executor(0), [&begun, until = sent.get_future().share()] {
    begun.set_value();
    until.wait();
  });
  begun.get_future().wait();
  constexpr int kBurst = 50;
  std::string hellos;
  std::string plains;
  for (int i = 0; i < kBurst; ++i) {
    hellos += kGet;
    plains += "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n";
  }
  first.send(hellos);
  second.send(plains);
  sent.set_value();
  for (int i = 0; i < kBurst; ++i) {
    EXPECT_EQ(first.read_response().body, "hello");
    EXPECT_EQ(second.read_response().body, "hello");
  }
  ASSERT_TRUE(eventually([&] { return std::ranges::count(server.log_file.text(), '\n') == 2 * kBurst + 3; }));
  std::string log = server.log_file.text();
  std::size_t both_served = std::max(log.find("/hello"), log.find("/plain"));
  auto before = std::ranges::count(log.substr(0, both_served), '\n') - 3;
  EXPECT_LT(before, 10) << "requests of one client were served before the other had its turn";
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

// A connection that is not idle.
TestClient half_sent(std::uint16_t port) {
  TestClient client(port);
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 100);
  return client;
}

TEST(Server, WhenFullTheLongestIdleConnectionMakesRoom) {
  TestServer server([](ServerOptions& options) {
    options.max_connections = 6;
    options.idle_timeout = 120s;
  });
  // Those of even numbers are on one thread.
  std::vector<TestClient> clients;
  clients.emplace_back(server.port());
  clients.back().send(kGetSlow);
  for (int i = 1; i < 6; ++i) {
    clients.emplace_back(server.port());
    if (i != 4) {
      EXPECT_EQ(clients.back().request("GET", "/hello").status, 200);
    }
    ASSERT_TRUE(eventually([&] { return server.server.connections() == clients.size(); }));
    server.clock.advance(1s);
  }
  EXPECT_EQ(clients[2].request("GET", "/hello").status, 200) << "so 4, which never sent anything, is idle for longest";
  TestClient seventh(server.port());
  EXPECT_EQ(seventh.request("GET", "/hello").status, 200);
  EXPECT_EQ(clients[4].read_to_end(), "");
  ASSERT_TRUE(eventually([&] { return server.server.connections() == 6; }));
  for (int i : {1, 2, 3, 5}) EXPECT_EQ(clients[static_cast<std::size_t>(i)].request("GET", "/hello").status, 200) << i;
  server.gate.open = true;
  EXPECT_EQ(clients[0].read_response().body, "slow");
}

// Connections for which handlers are at work: nothing closes them.
std::vector<TestClient> busy(TestServer& server, std::size_t count) {
  std::vector<TestClient> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.emplace_back(server.port());
    clients.back().send(kGetSlow);
  }
  EXPECT_TRUE(eventually([&] { return server.gate.entered == static_cast<int>(count); }));
  return clients;
}

TEST(Server, SafetyR36_UnfinishedRequestsMakeRoom) {
  TestServer server([](ServerOptions& options) { options.max_connections = 4; });
  std::vector<TestClient> unfinished;
  for (int i = 0; i < 60; ++i) {
    unfinished.push_back(half_sent(server.port()));
    TestClient good(server.port());
    EXPECT_EQ(good.request("GET", "/hello").status, 200) << i;
  }
  EXPECT_TRUE(eventually([&] { return server.server.connections() <= 4; }));
}

// Of two threads each has one of them.
TEST(Server, SafetyR36_RoomIsMadeOnAnyThread) {
  TestServer server([](ServerOptions& options) { options.max_connections = 2; });
  auto working = busy(server, 1);
  TestClient idle(server.port());
  EXPECT_EQ(idle.request("GET", "/hello").status, 200);
  TestClient third(server.port());
  EXPECT_EQ(third.request("GET", "/hello").status, 200);
  EXPECT_EQ(idle.read_to_end(), "");
}

TEST(Server, SafetyR36_ServedClientsOutlastThoseThatOnlyConnect) {
  TestServer server([](ServerOptions& options) {
    options.max_connections = 10;
    options.idle_timeout = 120s;
    options.read_timeout = 10s;
  });
  std::vector<TestClient> good;
  for (int i = 0; i < 4; ++i) {
    good.emplace_back(server.port());
    EXPECT_EQ(good.back().request("GET", "/hello").status, 200);
  }
  server.clock.advance(60s);
  std::vector<TestClient> crowd;
  for (int i = 0; i < 100; ++i) {
    crowd.emplace_back(server.port());
    if (i % 2 == 0) crowd.back().send("GET /hello HTTP/1.1\r\nX: ");
    if (i % 10 == 0) {
      EXPECT_EQ(crowd.back().read_for(1), "");
    }
  }
  for (auto& client : good) EXPECT_EQ(client.request("GET", "/hello").status, 200);
}

TEST(Server, SafetyR36_WhenAllAreBusyHoldersAndOperatorsGetIn) {
  TestServer server([](ServerOptions& options) { options.max_connections = 2; });
  auto working = busy(server, 2);
  for (int i = 0; i < 100; ++i) {
    TestClient holder(server.port());
    auto renewed = holder.request("POST", "/renew", "body");
    EXPECT_EQ(renewed.status, 201);
    EXPECT_EQ(renewed.header("Connection"), "close") << "for this time";
    TestClient probe(server.port());
    EXPECT_EQ(probe.request("GET", "/health").status, 200);
  }
  TestClient newcomer(server.port());
  auto refused = newcomer.request("POST", "/echo", "body");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.header("Connection"), "close");
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_NE(refused.header("X-Request-Id"), std::nullopt);
  TestClient lost(server.port());
  EXPECT_EQ(lost.request("GET", "/nowhere").status, 404) << "as ever";
  server.gate.open = true;
  for (auto& one : working) EXPECT_EQ(one.read_response().status, 200);
  TestClient after(server.port());
  EXPECT_EQ(after.request("GET", "/hello").status, 200);
}

TEST(Server, SafetyR36_SilentClientsKeepNoOtherOutOfTheReserve) {
  TestServer server([](ServerOptions& options) { options.max_connections = 10; });
  auto working = busy(server, 10);
  std::vector<TestClient> silent;
  for (int i = 0; i < 200; ++i) {
    silent.emplace_back(server.port());
    if (i % 2 == 0) silent.back().send("POST /renew HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel");
    TestClient holder(server.port());
    ASSERT_EQ(holder.request("POST", "/renew", "body").status, 201) << i;
  }
  EXPECT_EQ(server.server.connections(), 10u);
  TestClient last(server.port());
  EXPECT_EQ(last.read_for(50), "");
  server.clock.advance(1100ms);
  EXPECT_EQ(last.read_response().status, 503) << "it has had its second";
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
    if (round % 8 == 0) server.server.drain(10s);
    server.server.stop();
    EXPECT_EQ(server.server.connections(), 0u);
    done = true;
    clients.join();
  }
}

TEST(Server, CanBeDestroyedWithoutAStart) {
  TestServer base;
  Server server({.address = "127.0.0.1", .port = 0}, base.router, base.threads, base.clock, base.log);
  EXPECT_TRUE(server.drain(1s));
}

}  // namespace
}  // namespace sharedlock::http
