// Clients that are slow, half closed, gone, or speak something else; and those that are merely odd, and are served.
#include <chrono>
#include <random>
#include <vector>

#include "hostile/under_attack.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::StartsWith;

class Slow : public UnderAttack {
 protected:
  Slow()
      : UnderAttack({{"SHARED_LOCK_SERVER_READ_TIMEOUT", "1s"},
                     {"SHARED_LOCK_SERVER_WRITE_TIMEOUT", "1s"},
                     {"SHARED_LOCK_SERVER_IDLE_TIMEOUT", "1s"}}) {}

  // Sends `start`, then a byte every 50 ms. Expects 408 after the read timeout, which each byte does not begin anew.
  void expect_408(std::string_view start, char byte) {
    TestClient client = connect();
    auto begin = steady_clock::now();
    client.send(start);
    std::string answer;
    while (answer.empty() && steady_clock::now() - begin < 10s) {
      client.send_until_closed(std::string_view(&byte, 1));
      answer = client.read_for(50);
    }
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
    EXPECT_GE(steady_clock::now() - begin, 1s);
    EXPECT_LT(steady_clock::now() - begin, 5s);
  }
};

TEST_F(Slow, TimingSensitiveHeader) {
  expect_408("GET /health HTTP/1.1\r\nHost: h\r\nX: ", 'x');
}

TEST_F(Slow, TimingSensitiveRequestLine) {
  expect_408("GET /", 'x');
}

TEST_F(Slow, TimingSensitiveBody) {
  expect_408(post_head("/lease", "Content-Length: 1000\r\n"), 'x');
}

TEST_F(Slow, TimingSensitiveChunkExtension) {
  expect_408(post_head("/lease", "Transfer-Encoding: chunked\r\n") + "1;", 'x');
}

TEST_F(Slow, TimingSensitiveTrailer) {
  expect_408(post_head("/lease", "Transfer-Encoding: chunked\r\n") + "0\r\nX: ", 'x');
}

TEST_F(Slow, TimingSensitiveSilentClientsAreLeft) {
  TestClient silent = connect();
  TestClient empty_line = connect();
  empty_line.send("\r\n");
  TestClient used = connect();
  EXPECT_EQ(used.request("GET", "/health").status, 200);
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
  empty_line.read_to_end();
}

// It takes the beginning of what it asked for, and then a byte now and then.
TEST_F(Slow, TimingSensitiveReader) {
  TestClient client = connect();
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += kGetMetrics;
  auto begin = steady_clock::now();
  client.send_until_closed(many);
  EXPECT_TRUE(eventually_connections(0));
  EXPECT_LT(steady_clock::now() - begin, 10s);
}

class Strange : public UnderAttack {
 protected:
  void send_in_bytes(TestClient& client, std::string_view text) {
    for (char byte : text) client.send(std::string_view(&byte, 1));
  }
};

TEST_F(Strange, OneByteAtATime) {
  TestClient client = connect();
  std::string body = R"({"instanceId":"instance-1","leaseDuration":60})";
  std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
  for (int i = 0; i < 3; ++i) {
    send_in_bytes(client, post_head("/v1/default/lock/bytes/acquire", length) + body);
    EXPECT_EQ(client.read_response().status, 200);
    send_in_bytes(client, post_head("/lease", "Transfer-Encoding: chunked\r\n") + "2;a=b\r\n{\"\r\nE\r\nkey\":\"bytes" +
                              std::to_string(i) + "\"}\r\n0\r\nX: y\r\n\r\n");
    EXPECT_EQ(client.read_response().status, 201);
    send_in_bytes(client, "\r\n" + kGetHealth);
    EXPECT_EQ(client.read_response().body, "OK");
  }
}

TEST_F(Strange, EmptyLinesBeforeARequestAreSkipped) {
  TestClient client = connect();
  for (int i = 0; i < 3; ++i) {
    client.send("\r\n\r\n" + kGetHealth);
    EXPECT_EQ(client.read_response().body, "OK");
  }
}

TEST_F(Strange, Http10NeedsNoHostAndIsClosed) {
  TestClient closing = connect();
  closing.send("GET /health HTTP/1.0\r\n\r\n");
  EXPECT_EQ(closing.read_response().header("Connection"), "close");
  EXPECT_EQ(closing.read_to_end(), "");
  TestClient keeping = connect();
  for (int i = 0; i < 3; ++i) {
    keeping.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(keeping.read_response().header("Connection"), "keep-alive");
  }
}

TEST_F(Strange, AnUpgradeIsIgnored) {
  TestClient client = connect();
  for (const char* protocol : {"h2c", "websocket", "TLS/1.0"}) {
    std::string lines = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + std::string(protocol) +
                        "\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
    EXPECT_EQ(client.request("GET", "/health", {}, lines).body, "OK") << protocol;
  }
  EXPECT_EQ(client.request("CONNECT", "h:443").status, 400);
}

TEST_F(Strange, OtherProtocolsAre400) {
  for (std::string_view bytes :
       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "EHLO mail\r\n", "\x16\x03\x01\x02\x05\x01\x01\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "*1\r\n$4\r\nPING\r\n"}) {
    SCOPED_TRACE(bytes);
    expect_one_answer_and_close(connect(), bytes, 400);
  }
}

TEST_F(Strange, AnyBytesGetOneAnswerAtMost) {
  std::mt19937 random(4711);
  for (int i = 0; i < 300; ++i) {
    std::string bytes(1 + random() % 200, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    TestClient client = connect();
    client.send_until_closed(bytes);
    client.finish_sending();
    std::string answer = client.read_to_end();
    if (!answer.empty()) {
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    }
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << answer;
  }
}

TEST_F(Strange, HalfClosedClientsGetTheirAnswers) {
  TestClient client = connect();
  client.send(kGetHealth + kGetHealth + kGetMetrics);
  client.finish_sending();
  EXPECT_EQ(client.read_response().body, "OK");
  EXPECT_EQ(client.read_response().body, "OK");
  EXPECT_EQ(client.read_response().status, 200);
  EXPECT_EQ(client.read_to_end(), "");

  TestClient cut_off = connect();
  cut_off.send(post_head("/lease", "Content-Length: 16\r\n") + "{\"key\":");
  cut_off.finish_sending();
  EXPECT_EQ(cut_off.read_response().status, 400);
  EXPECT_EQ(cut_off.read_to_end(), "");
}

TEST_F(Strange, HalfClosedClientsThatStayCostNothing) {
  std::vector<TestClient> clients;
  for (int i = 0; i < 500; ++i) {
    clients.push_back(connect());
    if (i % 2 == 0) clients.back().send(kGetHealth);
    clients.back().finish_sending();
  }
  EXPECT_TRUE(eventually_connections(0)) << "though every client still has its end";
}

TEST_F(Strange, ResetsInTheMiddleOfAnswers) {
  std::string many;
  for (int i = 0; i < 2000; ++i) many += kGetMetrics;
  for (int i = 0; i < 200; ++i) {
    TestClient client = connect();
    client.send(std::string_view(many).substr(0, kGetMetrics.size() * (1 + static_cast<std::size_t>(i) * 10)));
    if (i % 2 == 0) {
      EXPECT_EQ(client.read_response().status, 200);
    }
    client.reset();
  }
  EXPECT_TRUE(eventually_connections(0));
  expect_memory_grew_no_more_than(4 << 20);
}

}  // namespace
}  // namespace sharedlock::test
