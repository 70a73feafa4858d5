// Waiting in the queue through gateways that cut, servers that come and go, and older servers; and the end of a client
// when its server says nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "client/canned_server.h"
#include "sharedlock/client.h"
#include "sharedlock/operations.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using client::BootClock;
using client::Client;
using client::ClientOptions;
using client::Errc;
using client::LeaseOptions;
using client::LockOptions;
using client::Operations;
using testing::Each;
using testing::HasSubstr;
using testing::Le;

std::string granted() {
  return CannedServer::response(200, R"({"success":true,"owner":"me","expiry":1,"fencingToken":7,"ttl":60})",
                                "X-Fencing-Token: 7\r\n");
}
std::string member(const std::string& request, const std::string& name) {
  auto at = request.find('"' + name + "\":");
  if (at == std::string::npos) return "";
  at += name.size() + 3;
  return request.substr(at, request.find_first_of(",}", at) - at);
}

// The requests that a gateway or server got, in order.
struct Asked {
  std::mutex mutex;
  std::vector<std::string> requests;

  std::size_t add(const std::string& request) {
    std::scoped_lock lock(mutex);
    requests.push_back(request);
    return requests.size();
  }
  std::vector<std::string> all() {
    std::scoped_lock lock(mutex);
    return requests;
  }
  std::vector<std::string> all(const std::string& name) {
    std::scoped_lock lock(mutex);
    std::vector<std::string> values;
    for (const auto& request : requests) values.push_back(member(request, name));
    return values;
  }
};

// A gateway like nginx with `proxy_read_timeout`, before a server that grants to the fourth request.
void wait_through(const std::string& when_cut, std::vector<std::string>* waits, std::vector<std::string>* places) {
  constexpr auto kBears = 1100ms;
  Asked asked;
  CannedServer gateway([&](const std::string& request) -> std::string {
    if (request.find("/acquire") == std::string::npos) return granted();
    if (asked.add(request) == 4) return granted();
    auto wait = std::chrono::seconds(std::stoi(member(request, "wait")));
    std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(kBears, wait));  // real time: the gateway's
    return wait > kBears ? when_cut : CannedServer::response(423, R"({"owner":"another"})");
  });
  Client client(ClientOptions(gateway.url()).patience(1ms));
  auto lock = client.acquire("cut", LockOptions().ttl(60s).wait(client::kForEver));
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_THAT(asked.all("instanceId"), Each(asked.all("instanceId").front())) << "one identity";
  *waits = asked.all("wait");
  *places = asked.all("keepPlace");
}

TEST(ClientWaiting, AGatewayThatCutsDoesNotEndTheWaitAndLaterPollsAreShorter) {
  std::vector<std::string> waits_by_close;
  std::vector<std::string> places_by_close;
  auto by_close = std::async(std::launch::async, [&] { wait_through("", &waits_by_close, &places_by_close); });
  std::vector<std::string> waits;
  std::vector<std::string> places;
  wait_through(CannedServer::response(504, "<html>504 Gateway Time-out</html>"), &waits, &places);
  by_close.get();
  EXPECT_THAT(waits, testing::ElementsAre("50", "1", "1", "1"));
  EXPECT_THAT(places, Each("10")) << "the place is kept between";
  EXPECT_EQ(waits_by_close, waits);
  EXPECT_EQ(places_by_close, places);
}

TEST(ClientWaiting, AnOlderServerIsAskedWithoutKeepPlace) {
  Asked asked;
  CannedServer server([&](const std::string& request) -> std::string {
    if (request.find("/acquire") == std::string::npos) return granted();
    asked.add(request);
    if (member(request, "keepPlace").empty()) return granted();
    return CannedServer::response(400, R"({"message":"JSON validation failed","details":["$: property 'keepPlace' is )"
                                       R"(not defined in the schema and the schema does not allow additional )"
                                       R"(properties"]})");
  });
  Client client{ClientOptions(server.url())};
  EXPECT_TRUE(client.acquire("older", LockOptions().wait(30s)));
  EXPECT_THAT(asked.all("keepPlace"), testing::ElementsAre("2", "")) << "one poll: 2 s do";
  EXPECT_THAT(asked.all("wait"), Each("30"));
}

TEST(ClientWaiting, LeasesWaitInTheSameWay) {
  Asked asked;
  CannedServer server([&](const std::string& request) -> std::string {
    if (asked.add(request) == 1) {
      std::this_thread::sleep_for(1100ms);  // real time: the gateway's
      return CannedServer::response(502, "");
    }
    return CannedServer::response(201, "", "X-Fencing-Token: 7\r\nX-Lease-TTL: 60\r\n");
  });
  Client client{ClientOptions(server.url())};
  auto lease = client.lease("cut", LeaseOptions().ttl(60s).wait(client::kForEver));
  ASSERT_TRUE(lease);
  EXPECT_THAT(asked.all(),
              testing::ElementsAre(AllOf(HasSubstr("x-lease-wait: 50s"), HasSubstr("x-lease-keep-place: 10s")),
                                   HasSubstr("x-lease-wait: 1s")));
}

TEST(ClientWaiting, AServerThatIsToBeAskedLaterDoesNotEndIt) {
  Asked asked;
  CannedServer server([&](const std::string& request) -> std::string {
    return asked.add(request) == 4 ? granted() : CannedServer::response(503, "{}", "Retry-After: 1\r\n");
  });
  Client client(ClientOptions(server.url()).patience(1ms));
  EXPECT_TRUE(client.acquire("later", LockOptions().ttl(60s).wait(client::kForEver)));
}

TEST(ClientWaiting, PatienceSaysHowLongServersMayBeAway) {
  Client brief(ClientOptions("http://127.0.0.1:1").patience(300ms));
  auto begun = BootClock::now();
  auto gone = brief.acquire("away", LockOptions().wait(client::kForEver));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::unavailable);
  EXPECT_THAT(BootClock::now() - begun, Le(5s));

  std::promise<client::Result<client::Lock>> answer;
  {
    Client patient(ClientOptions("http://127.0.0.1:1").request_timeout(1ms).patience(client::kNeverGiveUp));
    auto done = answer.get_future();
    patient.acquire_then("away", LockOptions().wait(client::kForEver),
                         [&](client::Result<client::Lock> said) { answer.set_value(std::move(said)); });
    EXPECT_EQ(done.wait_for(500ms), std::future_status::timeout) << "it goes on";
  }
}

TEST(ClientWaiting, ARedirectIsRefusedAtOnceAndSaysWhereItLeads) {
  std::atomic<int> asked = 0;
  CannedServer server([&](const std::string&) {
    ++asked;
    return CannedServer::response(308, "", "Location: https://locks.example/v1/default/lock/moved/acquire\r\n");
  });
  Client client{ClientOptions(server.url())};
  auto refused = client.acquire("moved", LockOptions().wait(client::kForEver));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_THAT(refused.error().message, HasSubstr("308"));
  EXPECT_THAT(refused.error().message, HasSubstr("https://locks.example/v1/default/lock/moved/acquire"));
  EXPECT_EQ(asked, 1);
}

// A server that hangs: it answers until silence() is called, and not after that.
class SilentServer {
 public:
  ~SilentServer() { ended_ = true; }
  void silence() { silent_ = true; }
  std::string url() const { return server_.url(); }

 private:
  std::string answer() const {
    if (!silent_) return granted();
    while (!ended_) std::this_thread::sleep_for(1ms);  // real time: it is silent
    return "";
  }

  std::atomic<bool> silent_ = false;
  std::atomic<bool> ended_ = false;
  CannedServer server_{[this](const std::string&) { return answer(); }};
};

// Whatever the client held or was about to do, its end takes bounded time, though no server answers.
TEST(ClientEnds, TakeTwoSecondsWhenTheServerStandsStill) {
  SilentServer holding_server;
  SilentServer waiting_server;
  waiting_server.silence();
  BootClock::time_point begun;
  {
    std::optional<Client> waiting(std::in_place, ClientOptions(waiting_server.url()));
    waiting->acquire_then("waited", LockOptions().wait(client::kForEver), [](client::Result<client::Lock>) {});
    std::optional<Client> client(std::in_place, ClientOptions(holding_server.url()).attempt_timeout(20s));
    auto lock = std::make_optional(client->acquire("held", LockOptions().ttl(60s)).value());
    holding_server.silence();
    client.reset();
    begun = BootClock::now();
    lock.reset();
  }
  EXPECT_THAT(BootClock::now() - begun, Le(6s)) << "2 s for what was held, 2 s for what was waited for";
}

TEST(ClientEnds, AFailedReleaseIsReported) {
  SilentServer server;
  server.silence();
  auto begun = BootClock::now();
  {
    Client client(ClientOptions(server.url()).attempt_timeout(200ms).patience(400ms));
    client::Names names{.namespace_name = "default", .names = {"mute"}, .instance = client::random_instance()};
    auto granted = Operations(client).acquire(names, 15s);
    ASSERT_FALSE(granted);
    EXPECT_EQ(granted.error().code, Errc::unavailable);
    EXPECT_THAT(granted.error().message, HasSubstr("could not be given back, and ends by itself within 15s"));
    auto before = BootClock::now();
    EXPECT_FALSE(Operations(client).release(names, 300ms));
    EXPECT_THAT(BootClock::now() - before, Le(1500ms));
  }
  EXPECT_THAT(BootClock::now() - begun, Le(6s));
}

}  // namespace
}  // namespace sharedlock::test
