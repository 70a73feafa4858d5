// A client that disconnects while a handler works is noticed, and what the handler made for it is undone.
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "http/test_server.h"

namespace sharedlock::http {
namespace {

using namespace std::chrono_literals;

const std::string kWait = "GET /waiting HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kGet = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

struct Waiting {
  Waiting() : client(server.port()) {
    client.send(kWait);
    if (!eventually([this] { return server.gate.entered == 1; })) throw std::runtime_error("no handler began");
  }
  bool noticed() {
    return eventually([this] { return server.gate.disconnected == 1 && server.gate.undelivered == 1; });
  }

  TestServer server;
  TestClient client;
};

TEST(Disconnect, IsNoticedWhenThePeerStopsSending) {
  Waiting waiting;
  waiting.client.finish_sending();
  EXPECT_TRUE(waiting.noticed());
  EXPECT_EQ(waiting.client.read_to_end(), "") << "nothing is sent to who is taken for gone";
}

TEST(Disconnect, IsNoticedWhenThePeerResets) {
  Waiting waiting;
  waiting.client.reset();
  EXPECT_TRUE(waiting.noticed());
}

TEST(Disconnect, IsNoticedBehindUnreadBytes) {
  Waiting waiting;
  waiting.client.send(kGet);
  EXPECT_EQ(waiting.client.read_for(50), "");
  EXPECT_EQ(waiting.server.gate.disconnected, 0);
  waiting.client.finish_sending();
  EXPECT_TRUE(waiting.noticed());
}

TEST(Disconnect, IsNoticedIfItCameBeforeTheHandlerBegan) {
  TestServer server;
  TestClient client(server.port());
  client.send(kWait);
  client.finish_sending();
  EXPECT_TRUE(eventually([&] { return server.gate.disconnected == 1 && server.gate.undelivered == 1; }));
}

TEST(Disconnect, IsNotReportedForASecondRequest) {
  Waiting waiting;
  waiting.client.send(kGet);
  waiting.client.send(kWait);
  EXPECT_EQ(waiting.client.read_for(50), "");
  waiting.server.gate.open = true;
  EXPECT_EQ(waiting.client.read_response().body, "waited");
  EXPECT_EQ(waiting.client.read_response().body, "hello");
  EXPECT_EQ(waiting.client.read_response().body, "waited");
  EXPECT_EQ(waiting.server.gate.disconnected, 0);
  EXPECT_EQ(waiting.server.gate.undelivered, 0);
}

// Unread bytes keep the socket readable, which must not keep its thread busy.
TEST(Disconnect, UnreadBytesCostNoTime) {
  Waiting waiting;
  waiting.client.send(kGet);
  auto cpu = [] { return std::chrono::microseconds(std::clock() * 1'000'000 / CLOCKS_PER_SEC); };
  auto before = cpu();
  EXPECT_EQ(waiting.client.read_for(1000), "");
  EXPECT_LT(cpu() - before, 500ms);
  waiting.server.gate.open = true;
  EXPECT_EQ(waiting.client.read_response().body, "waited");
}

TEST(Disconnect, IsNotReportedToEarlierRequests) {
  Waiting waiting;
  waiting.server.gate.open = true;
  EXPECT_EQ(waiting.client.read_response().body, "waited");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(waiting.client.request("GET", "/waiting").body, "waited");
  EXPECT_EQ(waiting.client.request("GET", "/hello").body, "hello");
  waiting.client.finish_sending();
  EXPECT_EQ(waiting.client.read_to_end(), "");
  EXPECT_EQ(waiting.server.gate.disconnected, 0);
}

TEST(Disconnect, IsReportedWhenTheServerStops) {
  Waiting waiting;
  waiting.server.server.stop();
  EXPECT_EQ(waiting.server.gate.disconnected, 1);
}

// At any moment the answer is either handed over completely or undone; it is never handed over after the disconnect was
// seen.
TEST(Disconnect, AtAnyMomentEitherUndoesTheAnswerOrComesTooLate) {
  TestServer server;
  std::mt19937 random(7);
  constexpr int kClients = 1500;
  int entered = 0;
  // On a busy machine nearly all moments drawn may be of one kind: then more are drawn.
  auto has_seen_both = [&] { return entered > kClients / 50 && server.gate.undelivered > kClients / 50; };
  for (int i = 0; i < kClients || (i < 5 * kClients && !has_seen_both()); ++i) {
    TestClient client(server.port());
    client.send(kWait);
    ASSERT_TRUE(eventually([&] { return server.gate.entered == i + 1; }));
    int undelivered = server.gate.undelivered;
    // Even where threads and timers wake up late there is time for either to be first.
    const auto pause = std::chrono::microseconds(random() % 1000);
    const auto opens_after = std::chrono::microseconds(random() % 500);
    std::jthread opener([&] {
      std::this_thread::sleep_for(opens_after);  // real time: both moments are drawn
      server.gate.open = true;
    });
    std::this_thread::sleep_for(pause);  // real time: see above
    bool answered = false;
    if (i % 2 == 0) {
      client.finish_sending();
      answered = !client.read_to_end().empty();
      EXPECT_EQ(server.gate.undelivered == undelivered, answered);
    } else {
      client.reset();
    }
    opener.join();
    ASSERT_TRUE(eventually([&] { return server.server.connections() == 0; }));
    server.gate.open = false;
    entered += answered ? 1 : 0;
  }
  EXPECT_GT(entered, kClients / 50) << "some came too late";
  EXPECT_GT(server.gate.undelivered, kClients / 50) << "some came in time";
}

}  // namespace
}  // namespace sharedlock::http
