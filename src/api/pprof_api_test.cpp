#include "api/pprof_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "http/client_address.h"

#include "support/run_task.h"

namespace sharedlock {
namespace {

using http::Method;
using std::chrono::seconds;
using testing::HasSubstr;

http::Route route_of(PprofApi& api, Method method, std::string_view pattern) {
  auto routes = api.routes();
  auto found = std::ranges::find_if(
      routes, [&](const http::Route& route) { return route.method == method && route.pattern == pattern; });
  EXPECT_NE(found, routes.end()) << pattern;
  return *found;
}

http::Request from_this_machine(std::span<const http::Header> headers) {
  http::Request request;
  static const http::Peer peer{boost::asio::ip::make_address("127.0.0.1")};
  request.peer = &peer;
  request.headers = headers;
  return request;
}

http::Request from_this_machine() {
  static const http::Header kHost[] = {{"Host", "localhost"}};
  return from_this_machine(kHost);
}

int admitted(PprofApi& api, const http::Request& request) {
  auto refused = route_of(api, Method::get, "/debug/pprof/heap").admit(request);
  return refused ? refused->status() : 200;
}

TEST(PprofApi, ALengthIsAWholeNumberOfSecondsUpTo300) {
  EXPECT_EQ(profile_length(""), seconds(30));
  EXPECT_EQ(profile_length("other=5"), seconds(30));
  EXPECT_EQ(profile_length("seconds=1"), seconds(1));
  EXPECT_EQ(profile_length("debug=1&seconds=300&x"), seconds(300));
  for (const char* query : {"seconds=0", "seconds=301", "seconds=-1", "seconds=", "seconds=1.5", "seconds=1s",
                            "seconds=99999999999", "a&seconds=x"}) {
    EXPECT_EQ(profile_length(query), std::nullopt) << query;
  }
}

TEST(PprofApi, OnlyProgramsOnThisMachineAreAdmitted) {
  PprofApi api;
  EXPECT_EQ(admitted(api, from_this_machine()), 200);
  EXPECT_EQ(admitted(api, http::Request()), 403);
  for (const char* name : {"X-Forwarded-For", "Forwarded", "x-real-ip"}) {
    const http::Header headers[] = {{"Host", "localhost"}, {name, "127.0.0.1"}};
    EXPECT_EQ(admitted(api, from_this_machine(headers)), 403) << name;
  }
}

TEST(PprofApi, PagesOfOtherSitesAreNotAdmitted) {
  PprofApi api;
  for (const char* site : {"cross-site", "same-site", "something-new"}) {
    const http::Header headers[] = {{"Host", "localhost"}, {"Sec-Fetch-Site", site}};
    EXPECT_EQ(admitted(api, from_this_machine(headers)), 403) << site;
  }
  for (const char* site : {"none", "same-origin"}) {
    const http::Header headers[] = {{"Host", "localhost"}, {"Sec-Fetch-Site", site}};
    EXPECT_EQ(admitted(api, from_this_machine(headers)), 200) << site;
  }
}

// To a browser, a page and what it requests have the same origin, even if the name leads elsewhere by now.
TEST(PprofApi, OnlyNamesThatAlwaysLeadToThisMachineAreAdmitted) {
  PprofApi api;
  auto admitted_as = [&api](const char* host) {
    const http::Header headers[] = {{"Host", host}, {"Sec-Fetch-Site", "same-origin"}};
    return admitted(api, from_this_machine(headers));
  };
  for (const char* host :
       {"localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:8080"}) {
    EXPECT_EQ(admitted_as(host), 200) << host;
  }
  for (const char* host : {"evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "",
                           ":1", "[", "[]", "[2001:db8::1]:8080", "::1"}) {
    EXPECT_EQ(admitted_as(host), 403) << host;
  }
  EXPECT_EQ(admitted(api, from_this_machine(std::span<const http::Header>())), 403) << "none";
}

// Profiles are needed most when requests are stuck, and a profile of several minutes must not keep others out.
TEST(PprofApi, NoRouteCountsAsARequestInFlight) {
  PprofApi api;
  for (const http::Route& route : api.routes()) EXPECT_EQ(route.priority, http::Priority::operators) << route.pattern;
}

TEST(PprofApi, EveryRouteIsGuarded) {
  PprofApi api;
  for (const http::Route& route : api.routes()) {
    ASSERT_TRUE(route.admit) << route.pattern;
    EXPECT_TRUE(route.admit(http::Request())) << route.pattern;
  }
}

// The profiler is not loaded into this test.
TEST(PprofApi, WithoutTheProfilerItSaysSo) {
  PprofApi api;
  for (const char* pattern : {"/debug/pprof/profile", "/debug/pprof/heap"}) {
    http::Request request = from_this_machine();
    auto answer = test::run_task(route_of(api, Method::get, pattern).handler(request));
    EXPECT_EQ(answer.status(), 501);
    EXPECT_THAT(answer.body(), HasSubstr("libgoogle-perftools4"));
  }
}

TEST(PprofApi, SymbolsAreNamedLineByLine) {
  PprofApi api;
  http::Request request = from_this_machine();
  auto count = test::run_task(route_of(api, Method::get, "/debug/pprof/symbol").handler(request));
  EXPECT_THAT(count.body(), testing::MatchesRegex("num_symbols: [1-9][0-9]*\n"));

  std::string known = "0x" + [] {
    char text[32];
    std::snprintf(text, sizeof text, "%zx", reinterpret_cast<std::size_t>(&profile_length));
    return std::string(text);
  }();
  std::string body = known + "+0x10+nonsense+" + known;
  request.method = Method::post;
  request.body = body;
  auto names = test::run_task(route_of(api, Method::post, "/debug/pprof/symbol").handler(request));
  EXPECT_THAT(names.body(), testing::StartsWith(known + "\tsharedlock::profile_length("));
  EXPECT_EQ(std::ranges::count(names.body(), '\n'), 2);
}

}  // namespace
}  // namespace sharedlock
