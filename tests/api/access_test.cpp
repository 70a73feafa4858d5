#include <cstring>

#include "api/api_test.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;

constexpr char kAcquireBody[] = R"({"instanceId":"instance-1","leaseDuration":60})";

// Neither keys to check tokens with, nor authentication.disabled.
struct NothingSaid {
  static Environment environment() {
    Environment environment = ServerProcess::open_memory();
    environment.erase("AUTHENTICATION_DISABLED");
    return environment;
  }
};
using WithoutAuthentication = OnServer<NothingSaid>;

TEST_F(WithoutAuthentication, TheLockApiIs401AndSaysWhatToConfigure) {
  struct Row {
    const char* method;
    const char* path;
  };
  for (const auto& [method, path] :
       {Row{"GET", "/v1/space/lock/abc"}, Row{"HEAD", "/v1/space/lock/abc"}, Row{"POST", "/v1/space/lock/abc/acquire"},
        Row{"POST", "/v1/space/lock/abc/renew"}, Row{"POST", "/v1/space/lock/abc/release"}}) {
    bool changes = std::string_view(method) == "POST";
    auto response = ask(method, path, changes ? kAcquireBody : "");
    EXPECT_EQ(response.status, 401) << method << " " << path;
    EXPECT_EQ(response.header("WWW-Authenticate"), "Bearer");
    EXPECT_EQ(response.header("Content-Type"), "application/json");
    if (std::string_view(method) == "HEAD") continue;
    EXPECT_THAT(response.body, HasSubstr("authentication.disabled"));
    EXPECT_THAT(response.body, HasSubstr("jwt.issuer"));
  }
}

TEST_F(WithoutAuthentication, ATokenOpensNothing) {
  auto response = ask("GET", "/v1/space/lock/abc", {}, "Authorization: Bearer e30.e30.e30\r\n");
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.header("WWW-Authenticate"), "Bearer error=\"invalid_token\"");
}

TEST_F(WithoutAuthentication, TheLeaseApiAndTheOpenPathsWork) {
  auto granted = post("/lease", R"({"key":"k"})");
  EXPECT_EQ(granted.status, 201);
  EXPECT_EQ(post("/keepalive", granted.body).status, 200);
  for (const char* path : {"/health", "/actuator/health", "/ready", "/metrics"}) {
    EXPECT_EQ(ask("GET", path).status, 200) << path;
  }
}

TEST_F(WithoutAuthentication, OrderOfChecks) {
  EXPECT_EQ(ask("GET", "/v1/space/locks/abc").status, 404);
  EXPECT_EQ(ask("DELETE", "/v1/space/lock/abc/acquire").status, 405);
  EXPECT_EQ(post("/v1/space/lock/ab/acquire", kAcquireBody).status, 401) << "before the path";
  EXPECT_EQ(post("/v1/space/lock/abc/acquire", "not json").status, 401) << "before the body";
  EXPECT_EQ(post("/v1/space/lock/abc/acquire", kAcquireBody, "Sec-Fetch-Site: cross-site\r\n").status, 401)
      << "before 403";
  EXPECT_EQ(server().ask("POST", "/v1/space/lock/abc/acquire", std::string(100'000, 'b')).status, 401)
      << "before the size of the body";
  for (const char* name : {"a%2Fb", "abc%00"}) {
    EXPECT_EQ(post(std::string("/v1/space/lock/") + name + "/acquire", kAcquireBody).status, 401) << name;
    EXPECT_EQ(ask("GET", std::string("/v1/space/lock/") + name).status, 401) << name;
  }
}

using CrossSite = OnServer<OpenMemory>;

TEST_F(CrossSite, A403ComesBeforeAnEncodedSlash) {
  auto response = post("/v1/space/lock/a%2Fb/acquire", kAcquireBody, "Sec-Fetch-Site: cross-site\r\n");
  EXPECT_EQ(response.status, 403);
}

TEST_F(CrossSite, AChangingCallIs403) {
  for (const char* path : {"/v1/space/lock/abc/acquire", "/v1/space/lock/abc/renew", "/v1/space/lock/abc/release"}) {
    auto response = post(path, kAcquireBody, "Sec-Fetch-Site: cross-site\r\n");
    EXPECT_EQ(response.status, 403) << path;
    EXPECT_EQ(response.header("Content-Type"), "application/json");
  }
  EXPECT_EQ(ask("GET", "/v1/space/lock/abc").body, R"({"namespace":"space","lockName":"abc"})") << "nothing happened";
}

TEST_F(CrossSite, AChangingCallOfTheLeaseApiIs403InPlainText) {
  for (const char* path : {"/lease", "/keepalive"}) {
    auto response = post(path, R"({"key":"cross-site"})", "Sec-Fetch-Site: cross-site\r\n");
    EXPECT_EQ(response.status, 403) << path;
    EXPECT_EQ(response.header("Content-Type"), "text/plain; charset=utf-8") << path;
  }
  EXPECT_EQ(post("/lease", R"({"key":"cross-site"})").status, 201) << "nothing happened";
}

// All that a browser sends to an address on plain HTTP.
TEST_F(CrossSite, AChangingCallWithAnotherOriginIs403) {
  for (const char* origin : {"http://evil.example", "null", "", "http://test:81", "http://test.evil.example",
                             "https://evil.example/test", "test", "http://evil.example://test"}) {
    auto headers = header_line("Content-Type", "text/plain") + header_line("Origin", origin);
    EXPECT_EQ(post("/lease", R"({"key":"origin"})", headers).status, 403) << origin;
    EXPECT_EQ(post("/v1/space/lock/origin/acquire", kAcquireBody, headers).status, 403) << origin;
    EXPECT_EQ(ask("GET", "/v1/space/lock/origin", {}, headers).status, 200) << origin;
  }
  auto both = header_line("oRIGIN", "http://evil.example") + header_line("Sec-Fetch-Site", "same-origin");
  EXPECT_EQ(post("/lease", R"({"key":"origin"})", both).status, 403);
}

TEST_F(CrossSite, AChangingCallWithTheServersOwnOriginIsAllowed) {
  TestClient client = server().connect();
  for (const char* origin : {"http://locks.example:8080", "https://Locks.Example:8080"}) {
    client.send("POST /v1/space/lock/own-origin/acquire HTTP/1.1\r\nHost: locks.example:8080\r\nOrigin: " +
                std::string(origin) + "\r\nContent-Length: " + std::to_string(std::strlen(kAcquireBody)) + "\r\n\r\n" +
                kAcquireBody);
    EXPECT_EQ(client.read_response().status, 200) << origin;
  }
}

TEST_F(CrossSite, ReadingIsAllowed) {
  EXPECT_EQ(ask("GET", "/v1/space/lock/abc", {}, "Sec-Fetch-Site: cross-site\r\n").status, 200);
  EXPECT_EQ(ask("HEAD", "/v1/space/lock/abc", {}, "Sec-Fetch-Site: cross-site\r\n").status, 200);
}

TEST_F(CrossSite, OtherSitesAreOnlyThoseOfAnotherSite) {
  for (const char* site : {"same-origin", "same-site", "none", ""}) {
    auto headers = header_line("Sec-Fetch-Site", site);
    EXPECT_EQ(post("/v1/space/lock/same-site/acquire", kAcquireBody, headers).status, 200) << site;
  }
}

}  // namespace
}  // namespace sharedlock::test
