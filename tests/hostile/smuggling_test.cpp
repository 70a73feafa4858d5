// Requests that end in different places for different parsers: behind a proxy that sees another end than we do, the
// rest of one client's request becomes the beginning of another's. All are refused, and what follows is not looked at.
#include <vector>

#include "hostile/under_attack.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Smuggling : public UnderAttack {
 protected:
  // Sends `bytes` and behind them a request for a lock; expects `status`, the end, and that nobody holds the lock.
  void expect_refused(std::string_view bytes, int status = 400) {
    SCOPED_TRACE(bytes);
    std::string lock = "/v1/smuggled/lock/lock-" + std::to_string(++locks_);
    std::string body = R"({"instanceId":"smuggler","leaseDuration":600})";
    std::string acquire = post_head(lock + "/acquire", "Content-Length: " + std::to_string(body.size()) + "\r\n");
    expect_one_answer_and_close(connect(), std::string(bytes) + acquire + body, status);
    EXPECT_THAT(ask("GET", lock).body, Not(HasSubstr("owner")));
  }

  void expect_lines_refused(std::string_view queues, std::string_view body, int status = 400) {
    expect_refused(post_head("/lease", queues) + std::string(body), status);
  }

 private:
  int locks_ = 0;
};

TEST_F(Smuggling, TwoLengths) {
  expect_lines_refused("Content-Length: 5\r\nContent-Length: 6\r\n", "hello");
  expect_lines_refused("Content-Length: 5\r\nContent-Length: 5\r\n", "hello");
  expect_lines_refused("Content-Length: 5, 5\r\n", "hello");
  expect_lines_refused("Content-Length: 5\r\ncontent-length: 0\r\n", "hello");
}

TEST_F(Smuggling, InvalidLengths) {
  for (const char* length : {"+5", "-1", "0x5", "5;", "5 5", "5\v", "", "five", "18446744073709551621", "\"5\""}) {
    expect_lines_refused("Content-Length: " + std::string(length) + "\r\n", "hello");
  }
}

TEST_F(Smuggling, LengthAndChunked) {
  expect_lines_refused("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
  expect_lines_refused("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n");
  expect_lines_refused("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n");
}

TEST_F(Smuggling, OtherTransferCodings) {
  for (const char* coding : {"gzip", "chunked, gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked",
                             "chunked;q=1", "chunked,", ",chunked", "\"chunked\"", "", "chunked\v", "chunk ed"}) {
    expect_lines_refused("Transfer-Encoding: " + std::string(coding) + "\r\n", "0\r\n\r\n");
  }
  expect_lines_refused("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
  expect_lines_refused("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n");
  expect_lines_refused("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n");
}

TEST_F(Smuggling, ChunkedInHttp10) {
  expect_refused("POST /lease HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  expect_refused(
      "POST /lease HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

TEST_F(Smuggling, InvalidLineEnds) {
  expect_refused("GET /health HTTP/1.1\nHost: h\n\n");
  expect_refused("GET /health HTTP/1.1\nHost: h\r\n\r\n");
  expect_lines_refused("X: a\nContent-Length: 5\r\n", "hello");
  expect_lines_refused("X: a\rContent-Length: 5\r\n", "hello");
  expect_refused("POST /lease HTTP/1.1\r\nHost: h\r\nContent-Length: 5\n\nhello");
  expect_refused("POST /lease HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\nhello");
}

TEST_F(Smuggling, InvalidNamesAndValues) {
  expect_lines_refused("X: folded\r\n line\r\n", "");
  expect_lines_refused("X: folded\r\n\tContent-Length: 5\r\n", "hello");
  expect_refused("GET /health HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n");
  expect_lines_refused("Content-Length : 5\r\n", "hello");
  expect_lines_refused("Transfer-Encoding : chunked\r\n", "0\r\n\r\n");
  expect_lines_refused("Content Length: 5\r\n", "hello");
  expect_lines_refused(": 5\r\n", "hello");
  expect_lines_refused("no colon\r\n", "hello");
  expect_lines_refused(std::string_view("X: a\0b\r\n", 8), "hello");
  expect_lines_refused(std::string_view("X\0: a\r\n", 7), "hello");
}

TEST_F(Smuggling, InvalidRequestLines) {
  for (const char* queue :
       {"GET  /health HTTP/1.1", "GET /health  HTTP/1.1", " GET /health HTTP/1.1", "GET /health",
        "GET\t/health\tHTTP/1.1", "GET /he alth HTTP/1.1", "GET /health HTTP/1.1 ", "GET /health HTTP/1.2",
        "GET /health HTTP/2.0", "GET /health http/1.1", "G\"T /health HTTP/1.1", "GET /\x01 HTTP/1.1"}) {
    expect_refused(std::string(queue) + "\r\nHost: h\r\n\r\n");
  }
}

TEST_F(Smuggling, NoHostOrTwo) {
  expect_refused("GET /health HTTP/1.1\r\n\r\n");
  expect_refused("GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  expect_refused("GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
}

TEST_F(Smuggling, InvalidChunks) {
  for (const char* chunks :
       {"0x5\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n", "g\r\nhello\r\n0\r\n\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;x\nhello\r\n0\r\n\r\n", "0;x=\"a\nb\"\r\n\r\n", "5;x=\"a\nb\"\r\nhello\r\n0\r\n\r\n",
        "5;x=\"a\r\nb\"\r\nhello\r\n0\r\n\r\n", "5;x=\"\\\n\"\r\nhello\r\n0\r\n\r\n",
        "5;x=\"a\rb\"\r\nhello\r\n0\r\n\r\n", "5\rhello\r\n0\r\n\r\n"}) {
    expect_lines_refused("Transfer-Encoding: chunked\r\n", chunks);
  }
  expect_lines_refused("Transfer-Encoding: chunked\r\n", "fffffffffffffffe\r\nhello\r\n0\r\n\r\n", 413);
}

TEST_F(Smuggling, InvalidTrailers) {
  expect_lines_refused("Transfer-Encoding: chunked\r\n", "0\r\nno colon\r\n\r\n");
  expect_lines_refused("Transfer-Encoding: chunked\r\n", "0\r\nX: a\nY: b\r\n\r\n");
  expect_lines_refused("Transfer-Encoding: chunked\r\n", "0\r\nX: a\r\n b\r\n\r\n");
  expect_lines_refused("Transfer-Encoding: chunked\r\n", "0\r\nX:\r\n\tb\r\n\r\n");
  expect_lines_refused("Transfer-Encoding: chunked\r\n", "0\r\n\n");
  expect_lines_refused("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 5\r\n\r\n");
  expect_lines_refused("Transfer-Encoding: chunked\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n");
}

// Where all parsers agree, a body is a body, whatever it looks like, and what follows it is the next request.
TEST_F(Smuggling, ABodyIsNoRequest) {
  TestClient client = connect();
  for (const char* method : {"GET", "HEAD", "DELETE", "POST"}) {
    std::string queues = "Content-Length: " + std::to_string(kGetHealth.size()) + "\r\n\r\n";
    client.send(std::string(method) + " /nowhere HTTP/1.1\r\nHost: h\r\n" + queues + kGetHealth);
    auto answer = method == std::string_view("HEAD") ? client.read_head_response() : client.read_response();
    EXPECT_EQ(answer.status, 404) << method;
    EXPECT_EQ(client.read_for(20), "") << method << ": one answer";
  }
  EXPECT_EQ(client.request("GET", "/health").status, 200) << "the connection is in step";
}

TEST_F(Smuggling, TrailersChangeNothing) {
  TestClient client = connect();
  client.send(post_head("/lease", "Transfer-Encoding: chunked\r\n") +
              "10\r\n{\"key\":\"chunks\"}\r\n0\r\nHost: other\r\nx-lease-ttl: nonsense\r\n\r\n" + kGetHealth);
  EXPECT_EQ(client.read_response().status, 201);
  EXPECT_EQ(client.read_response().body, "OK");
}

}  // namespace
}  // namespace sharedlock::test
