// The graceful end of a server: which clients are still served, which are not, and how long that takes.
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <cstdint>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "http/test_server.h"

namespace sharedlock::http {
namespace {

using namespace std::chrono_literals;

const std::string kGet = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kGetSlow = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n";

// False once the drain has reached the first I/O thread and its connections.
bool accepts(std::uint16_t port) {
  try {
    TestClient client(port);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

TEST(Drain, ClosesIdleConnectionsAtOnce) {
  TestServer server;
  std::vector<TestClient> clients;
  for (int i = 0; i < 300; ++i) {
    clients.emplace_back(server.port());
    EXPECT_EQ(clients.back().request("GET", "/hello").status, 200);
  }
  EXPECT_TRUE(server.server.drain(10s)) << "though no time passes";
  EXPECT_EQ(server.server.connections(), 0u);
  for (auto& client : clients) EXPECT_EQ(client.read_to_end(), "");
  EXPECT_THROW(TestClient{server.port()}, std::runtime_error);
}

TEST(Drain, WaitsASecondForTheFirstRequest) {
  TestServer server;
  TestClient fresh(server.port());
  ASSERT_TRUE(eventually([&] { return server.server.connections() == 1; }));
  std::jthread drain([&] { EXPECT_TRUE(server.server.drain(10s)); });
  ASSERT_TRUE(eventually([&] { return !accepts(server.port()); }));
  server.clock.advance(900ms);
  EXPECT_EQ(fresh.read_for(250), "");
  EXPECT_EQ(server.server.connections(), 1u) << "still open";
  server.clock.advance(200ms);
  EXPECT_EQ(fresh.read_to_end(), "");
}

TEST(Drain, WaitsForTheFirstRequestForAtMostHalfOfItsTime) {
  TestServer server;
  TestClient fresh(server.port());
  ASSERT_TRUE(eventually([&] { return server.server.connections() == 1; }));
  EXPECT_FALSE(server.server.drain(10ms));
  ASSERT_TRUE(eventually([&] { return !accepts(server.port()); }));
  server.clock.advance(6ms);
  EXPECT_EQ(fresh.read_to_end(), "");
  EXPECT_TRUE(server.server.drain(10s));
}

TEST(Drain, ServesTheFirstRequestOfAConnection) {
  TestServer server;
  TestClient used(server.port());
  TestClient other(server.port());
  TestClient fresh(server.port());
  EXPECT_EQ(used.request("GET", "/hello").status, 200);
  EXPECT_EQ(other.request("GET", "/hello").status, 200);
  ASSERT_TRUE(eventually([&] { return server.server.connections() == 3; }));
  std::jthread drain([&] { EXPECT_TRUE(server.server.drain(10s)); });
  EXPECT_EQ(used.read_to_end(), "") << "of the same thread as `fresh`, which the drain has thus reached";
  auto response = fresh.request("GET", "/hello");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Connection"), "close");
  fresh.finish_sending();
}

TEST(Drain, ServesConnectionsThatWaitInTheKernelsQueue) {
  TestServer server;
  TestClient first(server.port());
  TestClient second(server.port());
  EXPECT_EQ(first.request("GET", "/hello").status, 200);
  EXPECT_EQ(second.request("GET", "/hello").status, 200);
  // The thread that accepts is busy while the clients connect and the drain begins.
  std::promise<void> busy;
  asio::post(server.threads.executor(0), [until = busy.get_future().share()] { until.wait(); });
  std::vector<TestClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(server.port());
    clients.back().send(kGet);
  }
  std::jthread drain([&] { EXPECT_TRUE(server.server.drain(10s)); });
  EXPECT_EQ(second.read_to_end(), "") << "the drain has reached the other thread";
  busy.set_value();
  for (auto& client : clients) {
    EXPECT_EQ(client.read_response().body, "hello");
    client.finish_sending();
  }
}

// Connects and asks, again and again, until the server admits it no more. False if it was admitted and got no answer.
bool asks_until_refused(std::uint16_t port) {
  for (;;) {
    std::optional<TestClient> client;
    try {
      client.emplace(port);
    } catch (const std::runtime_error&) {
      return true;
    }
    try {
      client->request("GET", "/hello");
    } catch (const std::runtime_error&) {
      return false;
    }
  }
}

TEST(Drain, EveryAdmittedConnectionIsServed) {
  for (int round = 0; round < 3; ++round) {
    TestServer server;
    std::vector<std::future<bool>> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(std::async(std::launch::async, [&] { return asks_until_refused(server.port()); }));
    }
    EXPECT_TRUE(eventually([&] { return server.server.connections() > 0; }));
    EXPECT_TRUE(server.server.drain(10s));
    for (auto& client : clients) EXPECT_TRUE(client.get()) << "let in, but not served, in round " << round;
  }
}

TEST(Drain, AcceptsTheLongestPossibleTimeout) {
  for (std::chrono::nanoseconds within : {std::chrono::nanoseconds(9223372036s), std::chrono::nanoseconds::max()}) {
    TestServer server;
    TestClient client(server.port());
    client.send(kGetSlow);
    ASSERT_TRUE(eventually([&] { return server.gate.entered == 1; }));
    auto drained = std::async(std::launch::async, [&] { return server.server.drain(within); });
    EXPECT_EQ(drained.wait_for(50ms), std::future_status::timeout);
    server.gate.open = true;
    EXPECT_EQ(client.read_response().body, "slow");
    client.finish_sending();
    EXPECT_TRUE(drained.get());
  }
}

TEST(Drain, WaitsForARequestUnderWay) {
  TestServer server;
  TestClient client(server.port());
  client.send(kGetSlow);
  ASSERT_TRUE(eventually([&] { return server.gate.entered == 1; }));
  EXPECT_FALSE(server.server.drain(50ms)) << "still under way";
  std::jthread drain([&] { EXPECT_TRUE(server.server.drain(10s)); });
  server.gate.open = true;
  auto response = client.read_response();
  EXPECT_EQ(response.body, "slow");
  EXPECT_EQ(response.header("Connection"), "close");
  client.finish_sending();
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Drain, CutsOffWhatIsSentSlowlyAtHalfOfItsTime) {
  TestServer server;
  TestClient slow(server.port());
  TestClient used(server.port());
  slow.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(slow.read_response().status, 100);
  auto drained = std::async(std::launch::async, [&] { return server.server.drain(10s); });
  ASSERT_TRUE(eventually([&] { return !accepts(server.port()); })) << "the drain has reached the thread of `slow`";
  server.clock.advance(4900ms);
  EXPECT_EQ(slow.read_for(250), "");
  server.clock.advance(200ms);
  EXPECT_EQ(slow.read_response().status, 408);
  EXPECT_TRUE(drained.get()) << "everybody has an answer";
}

TEST(Drain, DoesNotWaitForAnAnsweredClientToClose) {
  TestServer server;
  TestClient client(server.port());
  client.send(kGetSlow);
  ASSERT_TRUE(eventually([&] { return server.gate.entered == 1; }));
  auto drained = std::async(std::launch::async, [&] { return server.server.drain(5s); });
  EXPECT_EQ(drained.wait_for(50ms), std::future_status::timeout);
  server.gate.open = true;
  EXPECT_EQ(client.read_response().body, "slow");
  EXPECT_TRUE(drained.get()) << "though the client stays, and no time passes";
}

TEST(Drain, ServesARequestThatHasBegunToArrive) {
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

TEST(Drain, AnswersOnlyTheFirstOfPipelinedRequests) {
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

TEST(Drain, LosesNoAnswer) {
  for (int round = 0; round < 20; ++round) {
    TestServer server;
    std::vector<TestClient> clients;
    for (int i = 0; i < 20; ++i) clients.emplace_back(server.port());
    for (auto& client : clients) EXPECT_EQ(client.request("GET", "/hello").status, 200);
    for (auto& client : clients) client.send(kGet);
    std::jthread drain([&] { EXPECT_TRUE(server.server.drain(10s)); });
    for (auto& client : clients) {
      EXPECT_EQ(client.read_response().body, "hello") << "sent before the drain began";
      client.finish_sending();
    }
  }
}

}  // namespace
}  // namespace sharedlock::http
