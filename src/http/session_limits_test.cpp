// The limits of one connection: how much it may send, and how long everything may take.
#include <gtest/gtest.h>

#include "http/test_server.h"

namespace sharedlock::http {
namespace {

using namespace std::chrono_literals;

std::string post(std::string_view path, std::string_view headers, std::string_view body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

TEST(SessionLimits, TakesABodyUpToTheLimit) {
  TestServer server;
  TestClient client(server.port());
  std::string body(64 * 1024, 'b');
  EXPECT_EQ(client.request("POST", "/echo", body).body, body);
  EXPECT_EQ(client.request("POST", "/echo", body + "b").status, 413);
}

TEST(SessionLimits, EndlessTrailersAreCutOff) {
  TestServer server;
  TestClient client(server.port());
  client.send(post("/echo", "Transfer-Encoding: chunked\r\n", "0\r\n"));
  std::string trailers;
  for (int i = 0; i < 2000; ++i) trailers += "X-Trailer: value\r\n";
  client.send_until_closed(trailers);
  EXPECT_EQ(client.read_response().status, 400);
}

TEST(SessionLimits, ATooLargeHeaderIs431) {
  TestServer server;
  TestClient client(server.port());
  client.send("GET /hello HTTP/1.1\r\nHost: h\r\nX: " + std::string(20'000, 'x'));
  auto response = client.read_response();
  EXPECT_EQ(response.status, 431);
  EXPECT_EQ(response.header("Connection"), "close");
  client.finish_sending();
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(SessionLimits, AHeaderOfJustTheLimitIsServed) {
  TestServer server;
  TestClient client(server.port());
  std::string start = "GET /hello HTTP/1.1\r\nHost: h\r\nX: ";
  client.send(start + std::string(16 * 1024 - start.size() - 4, 'x') + "\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 200);
}

TEST(SessionLimits, MoreThan128HeaderLinesAre431) {
  TestServer server;
  std::string lines;
  for (int i = 0; i < 127; ++i) lines += "a:\r\n";
  TestClient most(server.port());
  most.send("GET /headers HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n");
  EXPECT_EQ(most.read_response().body, "128");
  TestClient more(server.port());
  more.send("GET /headers HTTP/1.1\r\nHost: h\r\n" + lines + "a:\r\n\r\n");
  auto response = more.read_response();
  EXPECT_EQ(response.status, 431);
  EXPECT_EQ(response.header("Connection"), "close");
}

TEST(SessionLimits, ATooLargeBodyIs413ThoughTheClientIsStillSending) {
  TestServer server;
  std::string body(10 * 1024 * 1024, 'b');
  TestClient plain(server.port());
  plain.send_until_closed(post("/echo", "Content-Length: " + std::to_string(body.size()) + "\r\n", body));
  auto response = plain.read_response();
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.header("Connection"), "close");

  TestClient chunked(server.port());
  chunked.send_until_closed(post("/echo", "Transfer-Encoding: chunked\r\n", "a00000\r\n" + body));
  EXPECT_EQ(chunked.read_response().status, 413);
}

TEST(SessionLimits, AChunkedBodyIs413WhenItsSumIsTooLarge) {
  TestServer server;
  TestClient client(server.port());
  std::string chunk = "8000\r\n" + std::string(0x8000, 'c') + "\r\n";
  client.send(post("/echo", "Transfer-Encoding: chunked\r\n", chunk + chunk));
  EXPECT_EQ(client.read_for(50), "");
  client.send("1\r\nx\r\n");
  EXPECT_EQ(client.read_response().status, 413);
}

TEST(SessionLimits, ASlowHeaderIs408) {
  TestServer server([](ServerOptions& options) { options.read_timeout = 10s; });
  TestClient client(server.port());
  client.send("GET /hello HTTP/1.1\r\nHo");
  // Only a request that has begun has a deadline, and only the server knows when it has.
  std::string answer;
  EXPECT_TRUE(eventually([&] {
    server.clock.advance(11s);
    answer = client.read_for(150);
    return !answer.empty();
  }));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n")) << answer;
  EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
}

TEST(SessionLimits, ASlowBodyIs408) {
  TestServer server([](ServerOptions& options) { options.read_timeout = 10s; });
  TestClient client(server.port());
  client.send(post("/echo", "Content-Length: 5\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(client.read_response().status, 100);
  client.send("he");
  server.clock.advance(9s);
  EXPECT_EQ(client.read_for(300), "");
  server.clock.advance(2s);
  auto response = client.read_response();
  EXPECT_EQ(response.status, 408);
  EXPECT_EQ(response.header("Connection"), "close");
  client.finish_sending();
  EXPECT_EQ(client.read_to_end(), "");
}

std::string half_of(std::size_t body) {
  return post("/echo", "Content-Length: " + std::to_string(body) + "\r\n", std::string(body - 1, 'b'));
}

// As an honest client with little to send.
int status_of_another(TestServer& server) {
  TestClient client(server.port());
  return client.request("POST", "/echo", std::string(4000, 'b')).status;
}

TEST(SessionLimits, WhenAllSendTooMuchTheOldestIsCutOff) {
  TestServer server([](ServerOptions& options) {
    options.max_buffered_bytes = 100'000;
    options.read_timeout = 10s;
  });
  // Every other one is on the same thread.
  TestClient oldest(server.port());
  oldest.send(half_of(60'000));
  TestClient other(server.port());
  TestClient beside(server.port());
  // Between two of these its thread reads on, 2 KiB at least.
  for (int i = 0; i < 60; ++i) EXPECT_EQ(beside.request("GET", "/hello").status, 200);
  server.clock.advance(1s);
  TestClient another(server.port());
  TestClient second(server.port());
  second.send(half_of(60'000));
  auto cut_off = oldest.read_response();
  EXPECT_EQ(cut_off.status, 503);
  EXPECT_EQ(cut_off.header("Retry-After"), "1");
  EXPECT_EQ(cut_off.header("Connection"), "close");
  EXPECT_EQ(status_of_another(server), 201) << "what is small is served";
  second.send("b");
  EXPECT_EQ(second.read_response().status, 201);
  TestClient third(server.port());
  EXPECT_EQ(third.request("POST", "/echo", std::string(60'000, 'b')).status, 201) << "nothing is left of them";
}

TEST(SessionLimits, WhenNoneCanMakeRoomTheNewestIsCutOff) {
  TestServer server([](ServerOptions& options) { options.max_buffered_bytes = 50'000; });
  TestClient alone(server.port());
  alone.send_until_closed(half_of(60'000));
  EXPECT_EQ(alone.read_response().status, 503);
  TestClient lines(server.port());
  EXPECT_EQ(lines.request("GET", "/hello", "", "X: " + std::string(15'000, 'x') + "\r\n").status, 200);
  EXPECT_EQ(status_of_another(server), 201);
}

TEST(SessionLimits, AnIdleConnectionIsClosedSilently) {
  TestServer server([](ServerOptions& options) { options.idle_timeout = 120s; });
  TestClient fresh(server.port());
  TestClient used(server.port());
  EXPECT_EQ(used.request("GET", "/hello").status, 200);
  ASSERT_TRUE(eventually([&] { return server.server.connections() == 2; }));
  server.clock.advance(119s);
  EXPECT_EQ(used.request("GET", "/hello").status, 200);
  ASSERT_TRUE(eventually([&] {
    server.clock.advance(121s);
    return server.server.connections() == 0;
  }));
  EXPECT_EQ(fresh.read_to_end(), "");
  EXPECT_EQ(used.read_to_end(), "");
}

TEST(SessionLimits, AHandlerMayTakeLongerThanEveryTimeout) {
  TestServer server(
      [](ServerOptions& options) { options.read_timeout = options.write_timeout = options.idle_timeout = 10s; });
  TestClient client(server.port());
  client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return server.gate.entered == 1; }));
  server.clock.advance(3600s);
  EXPECT_EQ(client.read_for(300), "");
  server.gate.open = true;
  EXPECT_EQ(client.read_response().body, "slow");
}

TEST(SessionLimits, AClientThatDoesNotReadIsCutOff) {
  TestServer server([](ServerOptions& options) { options.write_timeout = 10s; });
  TestClient client(server.port());
  client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return server.server.connections() == 1; }));
  EXPECT_TRUE(eventually([&] {
    server.clock.advance(11s);
    return server.server.connections() == 0;
  }));
  EXPECT_LT(client.read_to_end().size(), 16u * 1024 * 1024);
}

TEST(SessionLimits, WithoutTimeoutsNothingEnds) {
  TestServer server;
  TestClient client(server.port());
  client.send("GET /hello HTTP/1.1\r\n");
  EXPECT_EQ(client.read_for(50), "");
  server.clock.advance(1'000'000s);
  EXPECT_EQ(client.read_for(300), "");
  client.send("Host: h\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 200);
}

TEST(SessionLimits, LingeringEndsAfterTwoSeconds) {
  TestServer server;
  TestClient client(server.port());
  client.send("GARBAGE\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 400);
  EXPECT_EQ(client.read_to_end(), "") << "sending was shut down";
  EXPECT_TRUE(eventually([&] {
    server.clock.advance(3s);
    return server.server.connections() == 0;
  }));
}

}  // namespace
}  // namespace sharedlock::http
