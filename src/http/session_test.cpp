// What one connection sees: framing, keep-alive, refusals, the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "http/test_server.h"

namespace sharedlock::http {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

const std::string kGet = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

std::string post(std::string_view path, std::string_view headers, std::string_view body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

TEST(Session, AnswersAndKeepsTheConnection) {
  TestServer server;
  TestClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    auto response = client.request("GET", "/hello");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.reason, "OK");
    EXPECT_EQ(response.body, "hello");
    EXPECT_EQ(response.header("Content-Type"), kPlainText);
    EXPECT_EQ(response.header("Content-Length"), "5");
    EXPECT_EQ(response.header("Date"), "Wed, 01 Jan 2025 00:00:00 GMT");
    EXPECT_EQ(response.header("Connection"), std::nullopt);
  }
}

TEST(Session, GivesTheHandlerPathQueryAndParameters) {
  TestServer server;
  TestClient client(server.port());
  EXPECT_EQ(client.request("GET", "/v1/a%20b/lock/c?x=%41").body, "a b|c|/v1/a%20b/lock/c|x=%41");
  EXPECT_EQ(client.request("GET", "http://h/v1/a/lock/c").body, "a|c|/v1/a/lock/c|");
}

TEST(Session, EachPipelinedRequestHasItsOwnParameters) {
  TestServer server;
  TestClient client(server.port());
  std::string rest = " HTTP/1.1\r\nHost: h\r\n\r\n";
  client.send("GET /v1/a%20b/lock/c" + rest + "GET /v1/d/lock/e" + rest + "GET /v1/f/lock/%67%20h" + rest);
  EXPECT_EQ(client.read_response().body, "a b|c|/v1/a%20b/lock/c|");
  EXPECT_EQ(client.read_response().body, "d|e|/v1/d/lock/e|");
  EXPECT_EQ(client.read_response().body, "f|g h|/v1/f/lock/%67%20h|");
}

// Which takes the place of the header in the read buffer.
TEST(Session, ParametersStayWhileTheBodyArrives) {
  TestServer server;
  TestClient client(server.port());
  std::string path = "/v1/a-long-name-that-fits-in-no-small-string/lock/another%20such%20name";
  std::string answer = "a-long-name-that-fits-in-no-small-string|another such name|" + path + "|";
  std::string chunk = "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
  for (std::string_view framing : {"Content-Length: 16384\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"}) {
    client.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n" + std::string(framing));
    EXPECT_FALSE(client.is_answered_within(std::chrono::milliseconds(20)));
    bool chunked = framing.starts_with("T");
    for (int i = 0; i < 4; ++i) client.send(chunked ? chunk : std::string(0x1000, 'x'));
    if (chunked) client.send("0\r\n\r\n");
    EXPECT_EQ(client.read_response().body, answer);
  }
}

TEST(Session, PipelinedRequestsAreAnsweredInOrder) {
  TestServer server;
  TestClient client(server.port());
  client.send(kGet + post("/echo", "Content-Length: 3\r\n", "one") + post("/echo", "Content-Length: 3\r\n", "two") +
              "\r\n" + kGet);
  EXPECT_EQ(client.read_response().body, "hello");
  EXPECT_EQ(client.read_response().body, "one");
  EXPECT_EQ(client.read_response().body, "two");
  EXPECT_EQ(client.read_response().body, "hello");
}

TEST(Session, ManyPipelinedRequestsAreAllAnswered) {
  TestServer server;
  TestClient client(server.port());
  std::string many;
  for (int i = 0; i < 1000; ++i) many += post("/echo", "Content-Length: 4\r\n", std::to_string(1000 + i));
  client.send(many);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(client.read_response().body, std::to_string(1000 + i));
}

TEST(Session, ServesARequestThatComesByteByByte) {
  TestServer server;
  TestClient client(server.port());
  for (char byte : post("/echo", "Content-Length: 5\r\n", "hello") +
                       post("/echo", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")) {
    client.send(std::string_view(&byte, 1));
  }
  EXPECT_EQ(client.read_response().body, "hello");
  EXPECT_EQ(client.read_response().body, "hello");
}

TEST(Session, ReadsChunkedBodies) {
  TestServer server;
  TestClient client(server.port());
  client.send(post("/echo", "Transfer-Encoding: chunked\r\n", "5\r\nhel"));
  client.send("lo\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n" + kGet);
  auto response = client.read_response();
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body, "hello world");
  EXPECT_EQ(client.read_response().body, "hello");
}

TEST(Session, SendsALargeAnswerWhole) {
  TestServer server;
  TestClient client(server.port());
  auto response = client.request("GET", "/large");
  EXPECT_EQ(response.body.size(), 16u * 1024 * 1024);
  EXPECT_EQ(client.request("GET", "/hello").status, 200);
}

TEST(Session, Http10ClosesUnlessAskedNotTo) {
  TestServer server;
  TestClient closing(server.port());
  closing.send("GET /hello HTTP/1.0\r\n\r\n");
  auto response = closing.read_response();
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(response.header("Connection"), "close");
  EXPECT_EQ(closing.read_to_end(), "");

  TestClient keeping(server.port());
  for (int i = 0; i < 2; ++i) {
    keeping.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(keeping.read_response().header("Connection"), "keep-alive");
  }
}

TEST(Session, ClosesWhenTheClientAsks) {
  TestServer server;
  TestClient client(server.port());
  auto response = client.request("GET", "/hello", {}, "Connection: close\r\n");
  EXPECT_EQ(response.header("Connection"), "close");
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Session, AnswersAClientThatHasFinishedSending) {
  TestServer server;
  TestClient client(server.port());
  client.send(kGet);
  client.finish_sending();
  EXPECT_EQ(client.read_response().body, "hello");
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Session, HeadIsGetWithoutTheBody) {
  TestServer server;
  TestClient client(server.port());
  auto response = client.request("HEAD", "/hello");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Content-Length"), "5");
  EXPECT_EQ(client.request("GET", "/hello").body, "hello");
  client.send("HEAD /nowhere HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_head_response().status, 404);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Session, NoContentHasNeitherBodyNorLength) {
  TestServer server;
  TestClient client(server.port());
  auto response = client.request("GET", "/empty");
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.header("Content-Length"), std::nullopt);
  EXPECT_EQ(client.request("GET", "/hello").body, "hello");
}

TEST(Session, IgnoresAnUpgradeToH2c) {
  TestServer server;
  TestClient client(server.port());
  std::string headers =
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n";
  EXPECT_EQ(client.request("GET", "/hello", {}, headers).status, 200);
  EXPECT_EQ(client.request("GET", "/hello").status, 200);
}

TEST(Session, RequestIdIsTheClientsOrAFreshOne) {
  TestServer server;
  TestClient client(server.port());
  EXPECT_EQ(client.request("GET", "/hello", {}, "X-Request-Id: a-1/b\r\n").header("X-Request-Id"), "a-1/b");
  EXPECT_EQ(client.request("GET", "/nowhere", {}, "x-request-id: a-2\r\n").header("X-Request-Id"), "a-2");
  auto fresh = client.request("GET", "/hello", {}, "X-Request-Id: not sane\r\n").header("X-Request-Id");
  EXPECT_THAT(fresh.value_or(""), MatchesRegex("[0-9a-f]{16}"));
  EXPECT_NE(client.request("GET", "/hello").header("X-Request-Id"), fresh);
  client.send("GARBAGE\r\n\r\n");
  EXPECT_THAT(client.read_response().header("X-Request-Id").value_or(""), MatchesRegex("[0-9a-f]{16}"));
}

TEST(Session, UnknownPathsAndMethodsKeepTheConnection) {
  TestServer server;
  TestClient client(server.port());
  auto missing = client.request("POST", "/nowhere", "body");
  EXPECT_EQ(missing.status, 404);
  EXPECT_THAT(missing.body, MatchesRegex(R"(\{"message":"Resource not found","errorId":"[0-9a-f-]{36}"\})"));
  auto wrong = client.request("DELETE", "/hello");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "GET, HEAD");
  EXPECT_EQ(client.request("POST", "/plain", "body").body, "Method not allowed\n");
  EXPECT_EQ(client.request("GET", "/v1/a%2Fb/lock/c").status, 400);
  EXPECT_EQ(client.request("GET", "/hello").status, 200);
}

TEST(Session, MalformedRequestsAreAnsweredAndClosed) {
  TestServer server;
  for (const char* lines :
       {"Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: gzip\r\n", "X: a\r\n b\r\n", "X: a\nY: b\r\n", "X : a\r\n", "Host: second\r\n"}) {
    TestClient client(server.port());
    client.send(post("/echo", lines, "hello" + kGet));
    auto response = client.read_response();
    EXPECT_EQ(response.status, 400) << lines;
    EXPECT_EQ(response.header("Content-Type"), kPlainText);
    EXPECT_EQ(response.header("Connection"), "close");
    client.finish_sending();
    EXPECT_EQ(client.read_to_end(), "") << "only one answer: " << lines;
  }
}

TEST(Session, MalformedChunksAreAnsweredAndClosed) {
  TestServer server;
  for (const std::string& body : {"x\r\n" + kGet, "5;" + std::string(100'000, 'x'), "5\r\nhelloXX0\r\n\r\n" + kGet}) {
    TestClient client(server.port());
    client.send_until_closed(post("/echo", "Transfer-Encoding: chunked\r\n", body));
    EXPECT_EQ(client.read_response().status, 400);
    client.finish_sending();
    EXPECT_EQ(client.read_to_end(), "");
  }
}

TEST(Session, AdmitDecidesBeforeTheBodyIsLookedAt) {
  TestServer server;
  TestClient client(server.port());
  EXPECT_EQ(client.request("POST", "/guarded", "body").status, 401);
  EXPECT_EQ(client.request("POST", "/guarded", "body", "X-Key: k\r\n").body, "body") << "the connection is kept";
  client.send(post("/guarded", "Content-Length: 100000\r\n", ""));
  auto response = client.read_response();
  EXPECT_EQ(response.status, 401) << "not 413";
  EXPECT_EQ(response.header("Connection"), "close");
}

TEST(Session, TheCallerIsCheckedBeforeAnEncodedSlash) {
  TestServer server;
  TestClient client(server.port());
  EXPECT_EQ(client.request("POST", "/v1/a%2Fb/guarded", "body").status, 401);
  for (const char* path : {"/v1/a%2Fb/guarded", "/v1/a%00b/guarded"}) {
    auto response = client.request("POST", path, "body", "X-Key: k\r\n");
    EXPECT_EQ(response.status, 400) << path;
    EXPECT_EQ(response.header("Content-Type"), kJson) << path;
    EXPECT_THAT(response.body, MatchesRegex(R"(\{"message":"Validation failed","details":\["Encoded [^"]*"\]\})"));
  }
  EXPECT_EQ(client.request("POST", "/v1/bad/guarded", "body", "X-Key: k\r\n").body, "bad name") << "admit's own 400";
  client.send(post("/v1/a%2Fb/guarded", "X-Key: k\r\nContent-Length: 100000\r\n", ""));
  EXPECT_EQ(client.read_response().status, 400) << "not 413";
}

TEST(Session, ARefusedBodyThatIsBrokenClosesTheConnection) {
  TestServer server;
  TestClient client(server.port());
  client.send(post("/guarded", "Transfer-Encoding: chunked\r\n", "x\r\n" + kGet));
  auto response = client.read_response();
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.header("Connection"), "close");
  client.finish_sending();
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Session, SendsContinueWhenTheBodyIsWelcome) {
  TestServer server;
  TestClient client(server.port());
  for (int i = 0; i < 2; ++i) {
    client.send(post("/echo", "Content-Length: 5\r\nExpect: 100-continue\r\n", ""));
    auto interim = client.read_response();
    EXPECT_EQ(interim.status, 100);
    EXPECT_TRUE(interim.headers.empty());
    client.send("hello");
    EXPECT_EQ(client.read_response().body, "hello");
  }
  client.send(post("/echo", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(client.read_response().status, 100);
  client.send("5\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(client.read_response().body, "hello");
}

TEST(Session, SendsNoContinueWhenTheBodyIsThereOrIsNone) {
  TestServer server;
  TestClient client(server.port());
  client.send(post("/echo", "Content-Length: 5\r\nExpect: 100-continue\r\n", "hello"));
  EXPECT_EQ(client.read_response().status, 201);
  client.send(post("/echo", "Content-Length: 5\r\nExpect: 100-continue\r\n", "he"));
  EXPECT_EQ(client.read_for(50), "");
  client.send("llo");
  EXPECT_EQ(client.read_response().status, 201);
  client.send(post("/echo", "Content-Length: 0\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(client.read_response().status, 201);
}

TEST(Session, AnswersAnExpectationWithARefusalAtOnce) {
  TestServer server;
  TestClient refused(server.port());
  refused.send(post("/guarded", "Content-Length: 5\r\nExpect: 100-continue\r\n", ""));
  auto response = refused.read_response();
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.header("Connection"), "close");
  TestClient large(server.port());
  large.send(post("/echo", "Content-Length: 100000\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(large.read_response().status, 413);
  TestClient unknown(server.port());
  unknown.send(post("/echo", "Content-Length: 5\r\nExpect: 200-ok\r\n", ""));
  EXPECT_EQ(unknown.read_response().status, 417);
}

TEST(Session, ABodyThatIsCutOffIs400) {
  TestServer server;
  TestClient client(server.port());
  client.send(post("/echo", "Content-Length: 5\r\n", "he"));
  client.finish_sending();
  EXPECT_EQ(client.read_response().status, 400);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST(Session, AnExceptionIs500AndLogged) {
  TestServer server;
  TestClient client(server.port());
  auto response = client.request("GET", "/throw");
  EXPECT_EQ(response.status, 500);
  ASSERT_THAT(response.body, MatchesRegex(R"(\{"message":"Internal server error","errorId":"[0-9a-f-]{36}"\})"));
  std::string error_id = response.body.substr(response.body.size() - 38, 36);
  EXPECT_TRUE(eventually([&] { return server.log_file.text().find(error_id) != std::string::npos; }));
  std::string log = server.log_file.text();
  EXPECT_THAT(log, HasSubstr("\"level\":\"error\""));
  EXPECT_THAT(log, HasSubstr("\"method\":\"GET\",\"path\":\"/throw\",\"what\":\"the handler broke\""));
  EXPECT_EQ(client.request("GET", "/hello").status, 200) << "the server goes on";
}

TEST(Session, ARouteCountsTheAnswersOfItsHandlerAndNoOthers) {
  TestServer server;
  TestClient client(server.port());
  client.send(post("/guarded", "Content-Length: 0\r\n", ""));
  EXPECT_EQ(client.read_response().status, 401);
  EXPECT_EQ(client.request("GET", "/throw").status, 500);
  EXPECT_EQ(client.request("GET", "/guarded").status, 405);
  EXPECT_EQ(server.gate.counted, 0);
  client.send(post("/guarded", "X-Key: k\r\nContent-Length: 0\r\n", ""));
  EXPECT_EQ(client.read_response().status, 201);
  EXPECT_EQ(server.gate.counted, 1);
  EXPECT_EQ(server.gate.last_status, 201);
}

TEST(Session, LogsOneLinePerRequest) {
  TestServer server({}, LogLevel::info);
  TestClient client(server.port());
  client.request("GET", "/quiet");
  client.request("POST", "/echo?secret=1", "hello", "X-Request-Id: my-id\r\n");
  client.request("GET", "/" + std::string(300, 'p'));
  EXPECT_TRUE(eventually([&] { return server.log_file.text().find("\"status\":404") != std::string::npos; }));
  std::string log = server.log_file.text();
  EXPECT_THAT(log,
              HasSubstr("\"level\":\"info\",\"msg\":\"request\",\"method\":\"POST\",\"path\":\"/echo\",\"status\":201,"
                        "\"bytes\":5,\"ms\":0.000,\"id\":\"my-id\",\"peer\":\"127.0.0.1:"));
  EXPECT_EQ(log.find("/quiet"), std::string::npos);
  EXPECT_THAT(log, HasSubstr("/" + std::string(199, 'p') + "\""));
  EXPECT_EQ(std::ranges::count(log, '\n'), 2);
}

}  // namespace
}  // namespace sharedlock::http
