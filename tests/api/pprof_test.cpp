#include <chrono>
#include <string>

#include "api/api_test.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;

class Profiles : public testing::Test {
 protected:
  static Environment enabled() { return ServerProcess::open_memory({{"SHARED_LOCK_PPROF_ENABLED", "true"}}); }

  static void send_get(http::TestClient& client, const std::string& target, const std::string& headers) {
    client.send("GET " + target + " HTTP/1.1\r\n" + headers + "\r\n");
  }
  static http::TestResponse get(ServerProcess& server, const std::string& target,
                                const std::string& headers = "Host: localhost\r\n") {
    auto client = server.connect();
    send_get(client, target, headers);
    return client.read_response();
  }

  // Returns once the profile that `client` asked for is being taken; or is refused, in builds without the profiler.
  static void begin_long_profile(ServerProcess& server, http::TestClient& client) {
    const std::string target = "/debug/pprof/profile?seconds=300";
    send_get(client, target, "Host: localhost\r\n");
    EXPECT_TRUE(eventually([&] {
      int second = get(server, "/debug/pprof/profile?seconds=1").status;
      if (second == 409 || second == 501) return true;
      // It may have come first: then the long one was refused.
      if (client.is_answered_within(std::chrono::milliseconds(0))) {
        EXPECT_EQ(client.read_response().status, 409);
        send_get(client, target, "Host: localhost\r\n");
      }
      return false;
    }));
  }
};

TEST_F(Profiles, AreNotThereUnlessEnabled) {
  ServerProcess server({.environment = ServerProcess::open_memory()});
  for (const char* path : {"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile", "/debug/pprof/symbol"}) {
    EXPECT_EQ(server.ask("GET", path).status, 404) << path;
  }
  EXPECT_EQ(server.stop(), 0) << server.err();
}

TEST_F(Profiles, AreForProgramsOnThisMachine) {
  ServerProcess server({.environment = enabled()});
  auto index = get(server, "/debug/pprof/");
  EXPECT_EQ(index.status, 200);
  EXPECT_THAT(index.body, HasSubstr("profile?seconds="));
  EXPECT_EQ(get(server, "/debug/pprof/", "Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n").status, 403);
  EXPECT_EQ(get(server, "/debug/pprof/symbol").status, 200);
  EXPECT_EQ(server.ask("DELETE", "/debug/pprof/heap").status, 405);
  EXPECT_EQ(server.stop(), 0) << server.err();
}

// The page's name was pointed at this machine after the page had been loaded.
TEST_F(Profiles, AreNotForPagesInABrowser) {
  ServerProcess server({.environment = enabled()});
  auto answer = get(server, "/debug/pprof/cmdline", "Host: evil.example:8080\r\nSec-Fetch-Site: same-origin\r\n");
  EXPECT_EQ(answer.status, 403);
  EXPECT_THAT(answer.body, HasSubstr("localhost"));
  EXPECT_EQ(server.stop(), 0) << server.err();
}

// Only the builds with the profiler have one to wait for.
TEST_F(Profiles, DoNotCountAsRequestsInFlight) {
  Environment narrow = enabled();
  narrow["SHARED_LOCK_MAX_REQUESTS_IN_FLIGHT"] = "1";
  ServerProcess server({.environment = narrow});
  auto client = server.connect();
  begin_long_profile(server, client);
  EXPECT_EQ(server.ask("POST", "/lease", R"({"key":"k"})").status, 201);
  EXPECT_EQ(server.stop(), 0) << server.err();
}

TEST_F(Profiles, ALongProfileEndsWithItsClient) {
  ServerProcess server({.environment = enabled()});
  auto client = server.connect();
  begin_long_profile(server, client);
  client.finish_sending();
  EXPECT_TRUE(eventually([&] {
    int next = get(server, "/debug/pprof/profile?seconds=1").status;
    return next == 200 || next == 501;
  }));
  EXPECT_EQ(server.stop(), 0) << server.err();
}

TEST_F(Profiles, TheProgramKeepsItsArgumentsWhenItRestarts) {
  ServerProcess server({.arguments = {"--idle-timeout", "77s"}, .environment = enabled()});
  auto arguments = get(server, "/debug/pprof/cmdline").body;
  const std::string zero(1, '\0');
  EXPECT_THAT(arguments, HasSubstr("shared-lock" + zero + "serve" + zero + "--port" + zero + "0" + zero));
  EXPECT_THAT(arguments, testing::EndsWith("--idle-timeout" + zero + "77s" + zero));
  EXPECT_EQ(server.stop(), 0) << server.err();
}

// Otherwise the program would restart endlessly to wait for a library that is not loaded, be it missing or refused.
TEST_F(Profiles, TheProgramRestartsOnceEvenIfNothingIsPreloaded) {
  Environment started_anew = enabled();
  started_anew["SHARED_LOCK_RESTARTED"] = "1";
  ServerProcess server({.environment = started_anew});
  EXPECT_EQ(get(server, "/debug/pprof/heap").status, 501);
  EXPECT_EQ(server.stop(), 0) << server.err();
}

// In builds with the profiler it is being taken when the server is to end; in others it is refused.
TEST_F(Profiles, ALongProfileDoesNotDelayTheEnd) {
  ServerProcess server({.environment = enabled()});
  auto client = server.connect();
  begin_long_profile(server, client);
  EXPECT_EQ(server.stop(), 0) << server.err();
  EXPECT_THAT(client.read_response().status, testing::AnyOf(501, 503));
}

}  // namespace
}  // namespace sharedlock::test
