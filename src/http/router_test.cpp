#include "http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock::http {
namespace {

using testing::ElementsAre;
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
  return status_of(test_router().match(method, target));
}

TEST(Router, FindsALiteralPath) {
  Router router = test_router();
  auto found = router.match(Method::post, "/lease");
  ASSERT_NE(matched(found), nullptr);
  EXPECT_EQ(matched(found)->route->pattern, "/lease");
  EXPECT_EQ(matched(found)->route->method, Method::post);
  EXPECT_EQ(status_of(router.match(Method::get, "/")), 0);
}

TEST(Router, GivesParametersInTheOrderOfThePattern) {
  Router router = test_router();
  auto found = router.match(Method::get, "/v1/space/lock/name");
  ASSERT_NE(matched(found), nullptr);
  EXPECT_THAT(matched(found)->params, ElementsAre("space", "name"));
}

TEST(Router, DecodesEachParameterOnItsOwn) {
  Router router = test_router();
  auto found = router.match(Method::get, "/v1/a%20b/lock/%C3%A9%25?x=%2F");
  ASSERT_NE(matched(found), nullptr);
  EXPECT_THAT(matched(found)->params, ElementsAre("a b", "\xC3\xA9%"));
  EXPECT_EQ(matched(found)->path, "/v1/a%20b/lock/%C3%A9%25");
  EXPECT_EQ(matched(found)->query, "x=%2F");
}

TEST(Router, PrefersALiteralToAParameter) {
  Router router = test_router();
  auto found = router.match(Method::get, "/v1/fixed/locks");
  ASSERT_NE(matched(found), nullptr);
  EXPECT_EQ(matched(found)->route->pattern, "/v1/fixed/{which}");
}

TEST(Router, TakesAbsoluteForm) {
  Router router = test_router();
  auto found = router.match(Method::get, "http://somewhere:80/v1/a/lock/b?q=1");
  ASSERT_NE(matched(found), nullptr);
  EXPECT_THAT(matched(found)->params, ElementsAre("a", "b"));
  EXPECT_EQ(matched(found)->path, "/v1/a/lock/b");
  EXPECT_EQ(matched(found)->query, "q=1");
  EXPECT_EQ(status_of(router.match(Method::get, "http://somewhere")), 0);
}

TEST(Router, ServesHeadByTheRouteForGet) {
  Router router = test_router();
  auto found = router.match(Method::head, "/v1/a/lock/b");
  ASSERT_NE(matched(found), nullptr);
  EXPECT_EQ(matched(found)->route->method, Method::get);
}

TEST(Router, UnknownPathIs404WithAnErrorId) {
  auto found = test_router().match(Method::get, "/nowhere");
  ASSERT_EQ(status_of(found), 404);
  const Response& answer = std::get<NoRoute>(found).answer;
  EXPECT_EQ(answer.content_type(), kJson);
  std::string pattern = std::string(R"(\{"message":"Resource not found","errorId":")") + kUuid + R"("\})";
  EXPECT_THAT(answer.body(), MatchesRegex(pattern));
}

TEST(Router, EmptySegmentsAndTrailingSlashesAre404) {
  for (const char* target : {"/lease/", "//lease", "/v1//lock/a", "/v1/a/lock/", "//", "/v1/a/lock//", "*", "/LEASE",
                             "/leas%65", "/v1/a/lock/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s"}) {
    EXPECT_EQ(status_of(Method::get, target), 404) << target;
  }
}

TEST(Router, ASlashAtTheEndOfAPatternStandsForItself) {
  Router router({{Method::get, "/folder/", nothing}, {Method::get, "/folder/{file}", nothing}});
  EXPECT_EQ(status_of(router.match(Method::get, "/folder")), 404);
  EXPECT_EQ(status_of(router.match(Method::get, "/folder//")), 404);
  EXPECT_EQ(status_of(router.match(Method::get, "/folder/x/")), 404);
  auto folder = router.match(Method::get, "/folder/");
  ASSERT_EQ(status_of(folder), 0);
  EXPECT_EQ(std::get<Match>(folder).route->pattern, "/folder/");
  EXPECT_TRUE(std::get<Match>(folder).params.empty());
}

TEST(Router, OtherMethodsAre405WithAllow) {
  auto found = test_router().match(Method::post, "/v1/a/lock/b");
  ASSERT_EQ(status_of(found), 405);
  const Response& answer = std::get<NoRoute>(found).answer;
  EXPECT_EQ(answer.header_lines(), "Allow: GET, HEAD, DELETE\r\n");
  EXPECT_EQ(answer.content_type(), kJson);
  std::string pattern = std::string(R"(\{"message":"Method not allowed","errorId":")") + kUuid + R"("\})";
  EXPECT_THAT(answer.body(), MatchesRegex(pattern));
}

TEST(Router, A405IsPlainTextWhereTheRouteSaysSo) {
  auto found = test_router().match(Method::other, "/lease");
  ASSERT_EQ(status_of(found), 405);
  const Response& answer = std::get<NoRoute>(found).answer;
  EXPECT_EQ(answer.header_lines(), "Allow: GET, HEAD, POST\r\n");
  EXPECT_EQ(answer.content_type(), kPlainText);
  EXPECT_EQ(answer.body(), "Method not allowed\n");
}

TEST(Router, MalformedTargetsAre400) {
  for (const char* target : {"lease", "", "/lease%", "/lease%2", "/lease%zz", "/a\x80", "/lease#x", "/<a>", "host:80",
                             "/lease?%", "mailto:a@b", "http://[::/lease", "/a\\b", "/a\"b"}) {
    EXPECT_EQ(status_of(Method::get, target), 400) << target;
  }
}

TEST(Router, SaysWhatIsWrongWithAParameter) {
  struct Row {
    const char* target;
    const char* bad_path;
  };
  Router router = test_router();
  for (const auto& [target, bad_path] :
       {Row{"/v1/a/lock/b%2Fc", "Encoded slash (%2F) in the path"},
        Row{"/v1/a%2fb/lock/c", "Encoded slash (%2F) in the path"},
        Row{"/v1/a/lock/b%00", "Encoded NUL (%00) in the path"}, Row{"/v1/a/lock/b%20c?x=%2F", ""}}) {
    auto found = router.match(Method::get, target);
    ASSERT_NE(matched(found), nullptr) << target;
    EXPECT_EQ(matched(found)->bad_path, bad_path) << target;
  }
}

TEST(Router, AMethodThatIsMissingComesBeforeABadParameter) {
  EXPECT_EQ(status_of(Method::put, "/v1/a/lock/b%2Fc"), 405);
}

}  // namespace
}  // namespace sharedlock::http
