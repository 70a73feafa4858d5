#include "http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock::http {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::MatchesRegex;

constexpr const char* kUuid = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

Task<Response> nothing(const Request&) {
  co_return Response(200);
}

Router test_router() {
  std::vector<Route> routes;
  routes.push_back({Method::get, "/", nothing});
  routes.push_back({Method::get, "/v1/{namespace}/lock/{lockName}", nothing});
  routes.push_back({Method::delete_, "/v1/{namespace}/lock/{lockName}", nothing});
  routes.push_back({Method::post, "/v1/{namespace}/lock/{lockName}/acquire", nothing});
  routes.push_back({Method::get, "/v1/{namespace}/locks", nothing});
  routes.push_back({Method::get, "/v1/fixed/{which}", nothing});
  routes.push_back({Method::post, "/lease", nothing, {}, true});
  routes.push_back({Method::get, "/lease", nothing, {}, true});
  return Router(std::move(routes));
}

const Match* matched(const std::variant<Match, NoRoute>& found) {
  return std::get_if<Match>(&found);
}

int status_of(const std::variant<Match, NoRoute>& found) {
  auto* none = std::get_if<NoRoute>(&found);
  return none == nullptr ? 0 : none->answer.status();
}

int status_of(Method method, std::string_view target) {
  PathParams params;
  return status_of(test_router().match(method, target, params));
}

TEST(Router, FindsALiteralPath) {
  Router router = test_router();
  PathParams params;
  auto found = router.match(Method::post, "/lease", params);
  ASSERT_NE(matched(found), nullptr);
  EXPECT_EQ(matched(found)->route->pattern, "/lease");
  EXPECT_EQ(matched(found)->route->method, Method::post);
  EXPECT_EQ(status_of(router.match(Method::get, "/", params)), 0);
}

TEST(Router, GivesParametersInTheOrderOfThePattern) {
  Router router = test_router();
  PathParams params;
  auto found = router.match(Method::get, "/v1/space/lock/name", params);
  ASSERT_NE(matched(found), nullptr);
  EXPECT_THAT(params.values, ElementsAre("space", "name"));
}

TEST(Router, DecodesEachParameterOnItsOwn) {
  Router router = test_router();
  PathParams params;
  auto found = router.match(Method::get, "/v1/a%20b/lock/%C3%A9%25?x=%2F", params);
  ASSERT_NE(matched(found), nullptr);
  EXPECT_THAT(params.values, ElementsAre("a b", "\xC3\xA9%"));
  EXPECT_EQ(matched(found)->path, "/v1/a%20b/lock/%C3%A9%25");
  EXPECT_EQ(matched(found)->query, "x=%2F");
}

TEST(Router, WhatIsNotEncodedIsAPartOfTheTarget) {
  Router router = test_router();
  PathParams params;
  for (const std::string& target : {std::string("/v1/a-long-name-that-fits-in-no-small-string/lock/b"),
                                    std::string("/v1/a-long-name-that-fits-in-no-small-string/lock/%62?x"),
                                    std::string("http://h/v1/a-long-name-that-fits-in-no-small-string/lock/b")}) {
    ASSERT_EQ(status_of(router.match(Method::get, target, params)), 0) << target;
    EXPECT_THAT(params.values, ElementsAre("a-long-name-that-fits-in-no-small-string", "b")) << target;
    EXPECT_EQ(params.values[0].data(), target.data() + target.find("a-long")) << target;
  }
}

// Whether the memory of the last suffices or not.
TEST(Router, ParametersOfOnePathReplaceThoseOfTheLast) {
  Router router = test_router();
  PathParams params;
  const std::string first(20, 'f');
  const std::string second(2000, 's');
  router.match(Method::get, "/v1/%61" + first + "/lock/%62" + second, params);
  EXPECT_THAT(params.values, ElementsAre("a" + first, "b" + second));
  router.match(Method::get, "/v1/%63" + second + "/lock/%64" + second, params);
  EXPECT_THAT(params.values, ElementsAre("c" + second, "d" + second));
  router.match(Method::get, "/v1/plain/lock/e%20f", params);
  EXPECT_THAT(params.values, ElementsAre("plain", "e f"));
  router.match(Method::get, "/v1/fixed/one", params);
  EXPECT_THAT(params.values, ElementsAre("one"));
  router.match(Method::get, "/nowhere", params);
  EXPECT_THAT(params.values, IsEmpty());
}

// RFC 3986: a segment is of unreserved characters, sub-delims, ':', '@' and percent-encoded bytes.
TEST(Router, AnyByteOfASegmentStandsForItselfOrIsRefused) {
  constexpr std::string_view kOfSegments =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@";
  Router router = test_router();
  for (int byte = 0; byte < 256; ++byte) {
    char c = static_cast<char>(byte);
    std::string name = std::string("x") + c + 'y';
    PathParams params;
    std::string target = "/v1/" + name + "/lock/b";
    auto found = router.match(Method::get, target, params);
    SCOPED_TRACE(byte);
    if (kOfSegments.find(c) != std::string_view::npos) {
      ASSERT_EQ(status_of(found), 0);
      EXPECT_THAT(params.values, ElementsAre(name, "b"));
      EXPECT_EQ(matched(found)->bad_path, "");
    } else {
      EXPECT_EQ(status_of(found), c == '/' || c == '?' ? 404 : 400);
    }
  }
}

TEST(Router, PrefersALiteralToAParameter) {
  Router router = test_router();
  PathParams params;
  auto found = router.match(Method::get, "/v1/fixed/locks", params);
  ASSERT_NE(matched(found), nullptr);
  EXPECT_EQ(matched(found)->route->pattern, "/v1/fixed/{which}");
}

TEST(Router, ALiteralOfAnotherMethodIsNotPreferred) {
  Router router({{Method::get, "/folder/{file}", nothing}, {Method::post, "/folder/new", nothing}});
  PathParams params;
  auto got = router.match(Method::get, "/folder/new", params);
  ASSERT_NE(matched(got), nullptr);
  EXPECT_EQ(matched(got)->route->pattern, "/folder/{file}");
  EXPECT_THAT(params.values, ElementsAre("new"));
  auto posted = router.match(Method::post, "/folder/new", params);
  ASSERT_NE(matched(posted), nullptr);
  EXPECT_EQ(matched(posted)->route->pattern, "/folder/new");
  EXPECT_THAT(params.values, IsEmpty());
  auto put = router.match(Method::put, "/folder/new", params);
  ASSERT_EQ(status_of(put), 405);
  EXPECT_EQ(std::get<NoRoute>(put).answer.header_lines(), "Allow: GET, HEAD, POST\r\n");
}

TEST(Router, TakesAbsoluteForm) {
  Router router = test_router();
  PathParams params;
  auto found = router.match(Method::get, "http://somewhere:80/v1/a/lock/b?q=1", params);
  ASSERT_NE(matched(found), nullptr);
  EXPECT_THAT(params.values, ElementsAre("a", "b"));
  EXPECT_EQ(matched(found)->path, "/v1/a/lock/b");
  EXPECT_EQ(matched(found)->query, "q=1");
  EXPECT_EQ(status_of(router.match(Method::get, "http://somewhere", params)), 0);
}

TEST(Router, ServesHeadByTheRouteForGet) {
  Router router = test_router();
  PathParams params;
  auto found = router.match(Method::head, "/v1/a/lock/b", params);
  ASSERT_NE(matched(found), nullptr);
  EXPECT_EQ(matched(found)->route->method, Method::get);
}

TEST(Router, UnknownPathIs404WithAnErrorId) {
  PathParams params;
  auto found = test_router().match(Method::get, "/nowhere", params);
  ASSERT_EQ(status_of(found), 404);
  const Response& answer = std::get<NoRoute>(found).answer;
  EXPECT_EQ(answer.content_type(), kJson);
  std::string pattern = std::string(R"(\{"message":"Resource not found","errorId":")") + kUuid + R"("\})";
  EXPECT_THAT(answer.body(), MatchesRegex(pattern));
}

TEST(Router, EmptySegmentsAndTrailingSlashesAre404) {
  for (const char* target : {"/lease/", "//lease", "//lease?x=1", "/v1//lock/a", "/v1/a/lock/", "//", "/v1/a/lock//",
                             "*", "/LEASE", "/leas%65", "/v1/a/lock/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s",
                             "/v1/a%20b/lock/", "/lease/?x=1", "/v1//lock/a?x=1", "/v1//lock/a%20b"}) {
    EXPECT_EQ(status_of(Method::get, target), 404) << target;
  }
}

TEST(Router, ASlashAtTheEndOfAPatternStandsForItself) {
  Router router({{Method::get, "/folder/", nothing}, {Method::get, "/folder/{file}", nothing}});
  PathParams params;
  EXPECT_EQ(status_of(router.match(Method::get, "/folder", params)), 404);
  EXPECT_EQ(status_of(router.match(Method::get, "/folder//", params)), 404);
  EXPECT_EQ(status_of(router.match(Method::get, "/folder/x/", params)), 404);
  for (const char* target : {"/folder/", "/folder/?x=1"}) {
    auto folder = router.match(Method::get, target, params);
    ASSERT_EQ(status_of(folder), 0) << target;
    EXPECT_EQ(std::get<Match>(folder).route->pattern, "/folder/") << target;
    EXPECT_THAT(params.values, IsEmpty()) << target;
  }
}

TEST(Router, OtherMethodsAre405WithAllow) {
  PathParams params;
  auto found = test_router().match(Method::post, "/v1/a/lock/b", params);
  ASSERT_EQ(status_of(found), 405);
  const Response& answer = std::get<NoRoute>(found).answer;
  EXPECT_EQ(answer.header_lines(), "Allow: GET, HEAD, DELETE\r\n");
  EXPECT_EQ(answer.content_type(), kJson);
  std::string pattern = std::string(R"(\{"message":"Method not allowed","errorId":")") + kUuid + R"("\})";
  EXPECT_THAT(answer.body(), MatchesRegex(pattern));
}

TEST(Router, A405IsPlainTextWhereTheRouteSaysSo) {
  PathParams params;
  auto found = test_router().match(Method::other, "/lease", params);
  ASSERT_EQ(status_of(found), 405);
  const Response& answer = std::get<NoRoute>(found).answer;
  EXPECT_EQ(answer.header_lines(), "Allow: GET, HEAD, POST\r\n");
  EXPECT_EQ(answer.content_type(), kPlainText);
  EXPECT_EQ(answer.body(), "Method not allowed\n");
}

TEST(Router, MalformedTargetsAre400) {
  for (const char* target : {"lease", "", "/lease%", "/lease%2", "/lease%zz", "/a\x80", "/lease#x", "/<a>", "host:80",
                             "/lease?%", "mailto:a@b", "http://[::/lease", "/a\\b", "/a\"b", "/a//b/%zz", "/lease//#x",
                             "/v1/a/lock/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s%"}) {
    EXPECT_EQ(status_of(Method::get, target), 400) << target;
  }
}

TEST(Router, SaysWhatIsWrongWithAParameter) {
  struct Row {
    const char* target;
    const char* bad_path;
  };
  Router router = test_router();
  for (const auto& [target, bad_path] : {Row{"/v1/a/lock/b%2Fc", "Encoded slash (%2F) in the path"},
                                         Row{"/v1/a%2fb/lock/c", "Encoded slash (%2F) in the path"},
                                         Row{"/v1/a/lock/b%00", "Encoded NUL (%00) in the path"},
                                         Row{"/v1/a%2Fb/lock/c%20d", "Encoded slash (%2F) in the path"},
                                         Row{"/v1/a/lock/%252F", ""}, Row{"/v1/a/lock/b%20c?x=%2F", ""}}) {
    PathParams params;
    auto found = router.match(Method::get, target, params);
    ASSERT_NE(matched(found), nullptr) << target;
    EXPECT_EQ(matched(found)->bad_path, bad_path) << target;
  }
}

TEST(Router, AMethodThatIsMissingComesBeforeABadParameter) {
  EXPECT_EQ(status_of(Method::put, "/v1/a/lock/b%2Fc"), 405);
}

}  // namespace
}  // namespace sharedlock::http
