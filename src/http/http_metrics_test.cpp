#include "http/http_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "http/test_client.h"
#include "http/test_server.h"

namespace sharedlock::http {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr char kDuration[] = "shared_lock_http_request_duration_seconds";

Task<Response> nothing(const Request&) {
  co_return Response(200);
}

Router two_routes() {
  return Router({{Method::get, "/one", nothing}, {Method::post, "/two/{name}", nothing}});
}

std::string requests(std::string_view route, std::string_view method, std::string_view status, int count) {
  std::string line = "\nshared_lock_http_requests_total{route=\"";
  line.append(route).append("\",method=\"").append(method).append("\",status=\"").append(status).append("\"} ");
  return line + std::to_string(count) + "\n";
}

std::string text_of(const Router& router, std::span<const RequestCounts* const> threads) {
  MetricsText text;
  write_request_metrics(text, router, threads);
  return text.text();
}

std::string text_of(const TestServer& server) {
  MetricsText text;
  server.server.write_metrics(text);
  return text.text();
}

TEST(HttpMetrics, ThreadsAreAddedUp) {
  Router router = two_routes();
  RequestCounts first(router);
  RequestCounts second(router);
  const Route* one = &router.routes()[0];
  first.count(one, Method::get, 200, 50us);
  second.count(one, Method::get, 200, 200us);
  second.count(one, Method::get, 503, 20s);
  const RequestCounts* threads[] = {&first, &second};
  std::string text = text_of(router, threads);
  EXPECT_THAT(text, HasSubstr(requests("/one", "GET", "200", 2)));
  EXPECT_THAT(text, HasSubstr(requests("/one", "GET", "503", 1)));
  std::string series = std::string(kDuration) + "_bucket{route=\"/one\",method=\"GET\",le=\"";
  EXPECT_THAT(text, HasSubstr(series + "0.0001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(series + "0.00025\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(series + "+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(std::string(kDuration) + "_sum{route=\"/one\",method=\"GET\"} 20.00025"));
}

TEST(HttpMetrics, ARequestWithoutARouteGetsNoLabelFromTheClient) {
  Router router = two_routes();
  RequestCounts counts(router);
  counts.count(nullptr, Method::get, 404, 1us);
  counts.count(nullptr, Method::other, 405, 1us);
  counts.count(nullptr, Method::other, 799, 1us);
  counts.count(nullptr, Method::other, -1, 1us);
  const RequestCounts* threads[] = {&counts};
  std::string text = text_of(router, threads);
  EXPECT_THAT(text, HasSubstr(requests("none", "GET", "404", 1)));
  EXPECT_THAT(text, HasSubstr(requests("none", "other", "405", 1)));
  EXPECT_THAT(text, HasSubstr(requests("none", "other", "other", 2)));
}

TEST(HttpMetrics, HeadIsAMethodOfItsOwnOfTheSameRoute) {
  Router router = two_routes();
  RequestCounts counts(router);
  counts.count(&router.routes()[0], Method::head, 200, 1us);
  const RequestCounts* threads[] = {&counts};
  std::string text = text_of(router, threads);
  EXPECT_THAT(text, HasSubstr(requests("/one", "HEAD", "200", 1)));
  EXPECT_THAT(text, Not(HasSubstr("/two")));
  EXPECT_THAT(text, Not(HasSubstr("GET")));
}

// 431 answers a request with a header that was never complete.
TEST(HttpMetrics, SessionsCountEveryAnswer) {
  TestServer server([](ServerOptions& options) { options.header_limit = 1024; });
  {
    TestClient client(server.port());
    client.request("GET", "/v1/anything/lock/at-all");
    client.request("GET", "/v1/something/lock/else");
    client.request("POST", "/echo", "text");
    client.request("GET", "/nowhere");
    client.request("DELETE", "/echo");
    client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    client.read_head_response();
    client.request("GET", "/throw");
    client.request("GET", "/hello", {}, "X-Long: " + std::string(2000, 'x') + "\r\n");
  }
  std::string text = text_of(server);
  for (const std::string& line :
       {requests("/v1/{a}/lock/{b}", "GET", "200", 2), requests("/echo", "POST", "201", 1),
        requests("none", "GET", "404", 1), requests("none", "DELETE", "405", 1), requests("/hello", "HEAD", "200", 1),
        requests("/throw", "GET", "500", 1), requests("none", "other", "431", 1)}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("anything")));
}

TEST(HttpMetrics, TimeIsThatOfTheWholeAnswer) {
  TestServer server;
  TestClient client(server.port());
  client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return server.gate.entered == 1; }));
  server.clock.advance(3s);
  server.gate.open = true;
  client.read_response();
  std::string line = std::string(kDuration) + "_sum{route=\"/slow\",method=\"GET\"} 3\n";
  EXPECT_TRUE(eventually([&] { return text_of(server).find(line) != std::string::npos; })) << text_of(server);
}

TEST(HttpMetrics, ConnectionsAreThoseThatAreOpen) {
  TestServer server;
  EXPECT_THAT(text_of(server), HasSubstr("\nshared_lock_http_connections 0\n"));
  {
    TestClient first(server.port());
    TestClient second(server.port());
    first.request("GET", "/hello");
    second.request("GET", "/hello");
    EXPECT_THAT(text_of(server), HasSubstr("\nshared_lock_http_connections 2\n"));
  }
  EXPECT_TRUE(
      eventually([&] { return text_of(server).find("\nshared_lock_http_connections 0\n") != std::string::npos; }));
}

}  // namespace
}  // namespace sharedlock::http
