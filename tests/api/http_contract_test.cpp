#include "api/api_test.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

constexpr char kUuid[] = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
constexpr char kAcquireBody[] = R"({"instanceId":"instance-1","leaseDuration":60})";

std::string problem_pattern(const std::string& message) {
  return R"(\{"message":")" + message + R"(","errorId":")" + kUuid + R"("\})";
}

class HttpContract : public OnServer<OpenMemory> {
 protected:
  // Sends a whole large body, as much as the server accepts, and then reads the answer.
  TestResponse send_ten_megabytes(const std::string& method, const std::string& target) {
    std::string body(10 * 1024 * 1024, 'b');
    TestClient client = server().connect();
    client.send_until_closed(method + " " + target + " HTTP/1.1\r\nHost: test\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.read_response();
  }
};

TEST_F(HttpContract, UnknownPathsAre404InJson) {
  for (const char* path : {"/", "/v1", "/leases", "/lease/", "//lease", "/LEASE", "/v1/space", "/v1/space/lock",
                           "/v1/space//abc", "/v1/space/lock/", "/v1/space/lock/abc/steal", "/v2/space/lock/abc",
                           "/health/x", "/actuator", "/v1/space/lock/abc/acquire/now"}) {
    for (const char* method : {"GET", "POST", "DELETE"}) {
      auto response = ask(method, path);
      EXPECT_EQ(response.status, 404) << method << " " << path;
      EXPECT_THAT(response.body, MatchesRegex(problem_pattern("Resource not found")));
      EXPECT_EQ(response.header("Content-Type"), "application/json");
    }
  }
}

TEST_F(HttpContract, ErrorIdsDiffer) {
  EXPECT_NE(ask("GET", "/nothing").body, ask("GET", "/nothing").body);
}

TEST_F(HttpContract, WrongMethodsOfTheLockApiAre405InJson) {
  struct Row {
    const char* path;
    std::vector<const char*> methods;
    const char* allow;
  };
  for (const auto& [path, methods, allow] :
       {Row{"/v1/space/lock/abc", {"POST", "PUT", "PATCH", "OPTIONS", "BREW"}, "GET, HEAD, DELETE"},
        Row{"/v1/space/lock/abc/acquire", {"GET", "PUT", "DELETE", "OPTIONS"}, "POST"},
        Row{"/v1/space/lock/abc/renew", {"GET", "PUT", "DELETE"}, "POST"},
        Row{"/v1/space/lock/abc/release", {"GET", "PUT", "DELETE"}, "POST"}}) {
    for (const char* method : methods) {
      auto response = ask(method, path);
      EXPECT_EQ(response.status, 405) << method << " " << path;
      EXPECT_EQ(response.header("Allow"), allow) << method << " " << path;
      EXPECT_THAT(response.body, MatchesRegex(problem_pattern("Method not allowed")));
      EXPECT_EQ(response.header("Content-Type"), "application/json");
    }
  }
}

TEST_F(HttpContract, WrongMethodsOfTheLeaseApiAre405InPlainText) {
  struct Row {
    const char* path;
    const char* method;
    const char* allow;
  };
  for (const auto& [path, method, allow] :
       {Row{"/lease", "PUT", "GET, HEAD, POST, DELETE"}, Row{"/lease", "OPTIONS", "GET, HEAD, POST, DELETE"},
        Row{"/release", "GET", "POST"}, Row{"/keepalive", "GET", "POST"}, Row{"/keepalive", "DELETE", "POST"},
        Row{"/health", "POST", "GET, HEAD"}, Row{"/ready", "DELETE", "GET, HEAD"},
        Row{"/metrics", "POST", "GET, HEAD"}}) {
    auto response = ask(method, path);
    EXPECT_EQ(response.status, 405) << method << " " << path;
    EXPECT_EQ(response.header("Allow"), allow) << method << " " << path;
    EXPECT_EQ(response.header("Content-Type"), "text/plain; charset=utf-8") << path;
    EXPECT_THAT(response.body, Not(HasSubstr("{"))) << path;
  }
}

TEST_F(HttpContract, HeadIsGetWithoutTheBody) {
  ASSERT_EQ(post("/v1/space/lock/seen-by-head/acquire", kAcquireBody).status, 200);
  for (const char* path : {"/health", "/ready", "/actuator/health", "/v1/space/lock/seen-by-head"}) {
    auto got = ask("GET", path);
    auto head = ask("HEAD", path);
    EXPECT_EQ(head.status, 200) << path;
    EXPECT_EQ(head.header("Content-Type"), got.header("Content-Type")) << path;
    EXPECT_EQ(head.header("Content-Length"), std::to_string(got.body.size())) << path;
    EXPECT_EQ(head.header("X-Fencing-Token"), got.header("X-Fencing-Token")) << path;
  }
  EXPECT_EQ(ask("HEAD", "/keepalive").status, 405);
  EXPECT_EQ(ask("HEAD", "/nothing").status, 404);
  EXPECT_EQ(ask("GET", "/health").status, 200) << "the connection is in step";
}

TEST_F(HttpContract, OrderOfChecksWithALargeBody) {
  EXPECT_EQ(send_ten_megabytes("POST", "/nothing").status, 404);
  EXPECT_EQ(send_ten_megabytes("PUT", "/v1/space/lock/ab/acquire").status, 405);
  EXPECT_EQ(send_ten_megabytes("POST", "/v1/space/lock/ab/acquire").status, 400);
  EXPECT_EQ(send_ten_megabytes("POST", "/v1/space/lock/abc/acquire").status, 413);
  EXPECT_EQ(send_ten_megabytes("POST", "/lease").status, 413);
  EXPECT_EQ(send_ten_megabytes("POST", "/keepalive").status, 413);
}

TEST_F(HttpContract, OrderOfChecksOfSmallRequests) {
  EXPECT_EQ(ask("DELETE", "/v1/ab/lock/ab/acquire").status, 405) << "before the path is looked at";
  EXPECT_EQ(post("/v1/space/lock/ab/acquire", kAcquireBody, "Sec-Fetch-Site: cross-site\r\n").status, 403)
      << "before the path is validated";
  EXPECT_EQ(post("/v1/space/lock/ab/acquire", "not json").status, 400);
  EXPECT_THAT(post("/v1/space/lock/ab/acquire", "not json").body, HasSubstr("\"Validation failed\""));
  EXPECT_THAT(post("/v1/space/lock/abc/acquire", "not json").body, HasSubstr("\"JSON validation failed\""));
}

TEST_F(HttpContract, TheLimitOfABodyIs64KiB) {
  std::string head = R"({"key":"sized","value":")";
  std::string body = head + std::string(64 * 1024 - head.size() - 2, 'v') + "\"}";
  EXPECT_EQ(server().ask("POST", "/lease", body).status, 201);
  EXPECT_EQ(server().ask("POST", "/lease", body + " ").status, 413);
}

TEST_F(HttpContract, AHeaderOver16KiBIs431) {
  EXPECT_EQ(server().ask("GET", "/health", {}, header_line("X-Long", std::string(17 * 1024, 'x'))).status, 431);
}

TEST_F(HttpContract, MalformedRequestsAre400) {
  for (const char* bytes :
       {"GET\r\n\r\n", "GET /health HTTP/1.1\r\n\r\n" /* no Host */, "GET /health HTTP/3.0\r\nHost: h\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "GET health HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /lease HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "POST /lease HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"}) {
    TestClient client = server().connect();
    client.send(bytes);
    auto response = client.read_response();
    EXPECT_EQ(response.status, 400) << bytes;
    EXPECT_TRUE(response.header("X-Request-Id")) << bytes;
  }
}

TEST_F(HttpContract, SegmentsArePercentDecoded) {
  EXPECT_THAT(ask("GET", "/v1/sp%61ce/lock/a%2Db%5Fc").body, HasSubstr(R"("namespace":"space","lockName":"a-b_c")"));
  EXPECT_EQ(post("/v1/space/lock/encoded%2Dname/acquire", kAcquireBody).status, 200);
  EXPECT_EQ(post("/v1/space/lock/encoded-name/release", R"({"instanceId":"instance-2"})").status, 423)
      << "one lock under both spellings";
}

TEST_F(HttpContract, AnInvalidSegmentIs400) {
  for (const char* name : {"a%2Fb", "a%2fb", "%2F%2F%2F", "abc%00", "abc%C0%AF", "abc%ED%A0%80", "abc%FF", "abc%zz",
                           "abc%2", "%2E%2E%2F"}) {
    EXPECT_EQ(ask("GET", std::string("/v1/space/lock/") + name).status, 400) << name;
    EXPECT_EQ(post(std::string("/v1/space/lock/") + name + "/acquire", kAcquireBody).status, 400) << name;
  }
}

TEST_F(HttpContract, AnEncodedSlashOrNulIsNamed) {
  EXPECT_EQ(ask("GET", "/v1/space/lock/a%2Fb").body,
            R"({"message":"Validation failed","details":["Encoded slash (%2F) in the path"]})");
  EXPECT_EQ(post("/v1/space/lock/abc%00/acquire", kAcquireBody).body,
            R"({"message":"Validation failed","details":["Encoded NUL (%00) in the path"]})");
}

TEST_F(HttpContract, MoreThan128HeaderLinesAre431) {
  std::string lines;
  for (int i = 0; i < 130; ++i) lines += "a:\r\n";
  EXPECT_EQ(server().ask("GET", "/health", {}, lines).status, 431);
}

TEST_F(HttpContract, AnOverlongSegmentIs400) {
  std::string path = "/v1/space/lock/" + std::string(10'000, 'n');
  EXPECT_EQ(ask("GET", path).status, 400);
  EXPECT_EQ(post(path + "/acquire", kAcquireBody).status, 400);
  EXPECT_EQ(server().ask("GET", path + std::string(10'000, 'n')).status, 431);
}

TEST_F(HttpContract, AbsoluteFormTargetsWork) {
  EXPECT_EQ(ask("GET", "http://elsewhere:1234/v1/space/lock/absolute").body,
            R"({"namespace":"space","lockName":"absolute"})");
  EXPECT_EQ(post("http://elsewhere/lease?x=y", R"({"key":"absolute"})").status, 201);
  EXPECT_EQ(ask("GET", "http://elsewhere").status, 404);
}

TEST_F(HttpContract, AQueryChangesNothing) {
  EXPECT_EQ(ask("GET", "/health?verbose=1&x=%20").status, 200);
  EXPECT_EQ(post("/lease?key=other", R"({"key":"queried"})").status, 201);
  EXPECT_EQ(ask("GET", "/v1/space/lock/queried?owner=me").body, R"({"namespace":"space","lockName":"queried"})");
}

TEST_F(HttpContract, EveryAnswerHasARequestId) {
  EXPECT_THAT(ask("GET", "/health").header("X-Request-Id"), testing::Optional(MatchesRegex("[0-9a-f]{16}")));
  EXPECT_NE(ask("GET", "/health").header("X-Request-Id"), ask("GET", "/health").header("X-Request-Id"));
  std::string longest(128, 'r');
  for (const std::string& sane : {std::string("7"), std::string("req-1.a_b:c/d+e=f@g"), longest}) {
    for (const char* path : {"/health", "/nothing", "/lease", "/v1/space/lock/ab"}) {
      EXPECT_EQ(ask("GET", path, {}, header_line("x-request-id", sane)).header("X-Request-Id"), sane) << path;
    }
  }
  for (const std::string& insane : {std::string(), std::string("two words"), std::string("\"quoted\""), longest + "r",
                                    std::string("\xC3\xA9"), std::string("<script>")}) {
    EXPECT_THAT(ask("GET", "/health", {}, header_line("X-Request-Id", insane)).header("X-Request-Id"),
                testing::Optional(MatchesRegex("[0-9a-f]{16}")))
        << insane;
  }
}

TEST_F(HttpContract, TheContentTypeOfARequestDoesNotMatter) {
  for (const char* type : {"application/x-www-form-urlencoded", "text/plain", "application/json", "nonsense"}) {
    auto response = post("/v1/space/lock/content-type/acquire", kAcquireBody, header_line("Content-Type", type));
    EXPECT_EQ(response.status, 200) << type;
  }
}

TEST_F(HttpContract, ThereAreNoCorsHeaders) {
  for (const char* method : {"GET", "OPTIONS", "POST"}) {
    auto response =
        ask(method, "/v1/space/lock/abc", {}, "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n");
    for (const auto& [name, value] : response.headers) EXPECT_THAT(name, Not(HasSubstr("ccess-"))) << value;
  }
}

TEST_F(HttpContract, KeepsConnectionsOfOldAndNewHttp) {
  TestClient old = server().connect();
  old.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(old.read_response().header("Connection"), "keep-alive");
  old.send("GET /health HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.read_response().status, 200);
  EXPECT_EQ(old.read_to_end(), "");
  EXPECT_EQ(ask("GET", "/health").header("Connection"), std::nullopt);
  TestClient closing = server().connect();
  EXPECT_EQ(closing.request("GET", "/health", {}, "Connection: close\r\n").header("Connection"), "close");
  EXPECT_EQ(closing.read_to_end(), "");
}

TEST_F(HttpContract, ExpectContinueAndChunksWork) {
  TestClient client = server().connect();
  client.send("POST /lease HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 100);
  client.send("8\r\n{\"key\":\"\r\n9\r\nchunked\"}\r\n0\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 201);
}

}  // namespace
}  // namespace sharedlock::test
