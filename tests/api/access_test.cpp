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
  auto two = header_line("oRIGIN", "http://test") + header_line("Origin", "http://evil.example");
  EXPECT_EQ(post("/lease", R"({"key":"origin"})", two).status, 403);
}

// Behind a proxy that rewrites Host the two differ for a page of our own too.
TEST_F(CrossSite, TheBrowsersSecFetchSiteDecides) {
  struct Row {
    const char* site;
    const char* origin;
    int status;
  };
  for (const auto& [site, origin, status] :
       {Row{"same-origin", "https://locks.example", 200}, Row{"none", "https://locks.example", 200},
        Row{"same-origin", "null", 200}, Row{"cross-site", "http://test", 403}, Row{"cross-site", "null", 403},
        Row{"same-site", "https://other.locks.example", 403}, Row{"same-site", "http://test", 200},
        Row{"unheard-of", "https://locks.example", 403}}) {
    auto headers = header_line("Origin", origin) + header_line("Sec-Fetch-Site", site);
    EXPECT_EQ(post("/v1/space/lock/page/acquire", kAcquireBody, headers).status, status) << site << " " << origin;
  }
  auto two = header_line("Sec-Fetch-Site", "same-origin") + header_line("sec-fetch-site", "cross-site");
  EXPECT_EQ(post("/v1/space/lock/page/acquire", kAcquireBody, two).status, 403);
}

// The test client's Host is "test".
TEST_F(CrossSite, ADefaultPortMayBeSaidOrNot) {
  for (const char* origin : {"http://test:80", "https://test:443", "HTTPS://test"}) {
    EXPECT_EQ(post("/v1/space/lock/port/acquire", kAcquireBody, header_line("Origin", origin)).status, 200) << origin;
  }
  for (const char* origin : {"http://test:443", "https://test:80", "https://test:8443", "https://", "://test:80"}) {
    EXPECT_EQ(post("/v1/space/lock/port/acquire", kAcquireBody, header_line("Origin", origin)).status, 403) << origin;
  }
}

TEST_F(CrossSite, AForwardedHostFromAnUntrustedPeerIsIgnored) {
  auto headers = header_line("Origin", "https://locks.example") + header_line("X-Forwarded-Host", "locks.example");
  EXPECT_EQ(post("/lease", R"({"key":"forwarded"})", headers).status, 403);
}

struct BehindAProxy {
  static Environment environment() {
    return ServerProcess::open_memory(
        {{"SHARED_LOCK_TRUSTED_PROXIES", "127.0.0.1"},
         {"SHARED_LOCK_ALLOWED_ORIGINS", "https://console.example:8443, http://127.0.0.1"}});
  }
};
using CrossSiteBehindAProxy = OnServer<BehindAProxy>;

TEST_F(CrossSiteBehindAProxy, TheHostThatItForwardsIsOurs) {
  for (const char* host : {"locks.example", "Locks.Example", "locks.example:443", "inner, locks.example"}) {
    auto headers = header_line("Origin", "https://locks.example") + header_line("X-Forwarded-Host", host);
    EXPECT_EQ(post("/v1/space/lock/forwarded/acquire", kAcquireBody, headers).status, 200) << host;
  }
  for (const char* host : {"", ",", "evil.example", "locks.example:8443", "locks.example.evil.example"}) {
    auto headers = header_line("Origin", "https://locks.example") + header_line("X-Forwarded-Host", host);
    EXPECT_EQ(post("/v1/space/lock/forwarded/acquire", kAcquireBody, headers).status, 403) << host;
  }
}

TEST_F(CrossSiteBehindAProxy, AnAllowedOriginIsLetThrough) {
  auto status = [&](const char* origin, const char* site) {
    std::string headers = header_line("Origin", origin);
    if (*site != '\0') headers += header_line("Sec-Fetch-Site", site);
    return post("/v1/space/lock/allowed/acquire", kAcquireBody, headers).status;
  };
  for (const char* site : {"", "same-site", "cross-site"}) {
    EXPECT_EQ(status("https://console.example:8443", site), 200) << site;
    EXPECT_EQ(status("http://127.0.0.1", site), 200) << site;
    EXPECT_EQ(status("https://console.example", site), 403) << site;
    EXPECT_EQ(status("http://console.example:8443", site), 403) << site;
  }
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

TEST_F(CrossSite, SameSiteRequestsAreAllowed) {
  for (const char* site : {"same-origin", "same-site", "none", ""}) {
    auto headers = header_line("Sec-Fetch-Site", site);
    EXPECT_EQ(post("/v1/space/lock/same-site/acquire", kAcquireBody, headers).status, 200) << site;
  }
}

}  // namespace
}  // namespace sharedlock::test
