// Waiting in the queue, as a client sees it: first come, first served, and no waiter is forgotten.
#include <algorithm>
#include <deque>
#include <random>
#include <thread>

#include "api/api_test.h"
#include "api/own_stores.h"
#include "support/asking.h"
#include "support/effort.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::Not;

std::string asked(const std::string& instance, int duration, const std::string& wait = "") {
  std::string more = wait.empty() ? "" : R"(,"wait":)" + wait;
  return R"({"instanceId":")" + instance + R"(","leaseDuration":)" + std::to_string(duration) + more + "}";
}

std::string path_of(const std::string& name, const std::string& what = "") {
  return "/v1/space/lock/" + name + (what.empty() ? "" : "/" + what);
}

Asking asking_for(const ServerProcess& server, const std::string& name, const std::string& body) {
  return Asking(server, path_of(name, "acquire"), body);
}

template <class Settings>
class Waiting : public OnServer<Settings> {
 protected:
  TestResponse acquire(const std::string& name, const std::string& instance, int duration = 60,
                       const std::string& wait = "") {
    return this->post(path_of(name, "acquire"), asked(instance, duration, wait));
  }
  TestResponse release(const std::string& name, const std::string& instance) {
    return this->post(path_of(name, "release"), R"({"instanceId":")" + instance + "\"}");
  }
  std::int64_t waiters(const std::string& name) {
    auto lock = object_of(this->ask("GET", path_of(name)).body);
    return lock.contains("waiters") ? lock.at("waiters").as_int64() : -1;
  }
  // A waiting request that has its queue entry when this returns.
  Asking waiting(const std::string& name, const std::string& instance, const std::string& wait = "60",
                 int duration = 60) {
    std::int64_t before = waiters(name);
    Asking asking = asking_for(this->server(), name, asked(instance, duration, wait));
    EXPECT_TRUE(eventually([&] { return waiters(name) == before + 1; }));
    return asking;
  }
  static std::int64_t token_of(const TestResponse& response) { return number_in(response.header("X-Fencing-Token")); }
};

TYPED_TEST_SUITE(Waiting, OwnStores);

TYPED_TEST(Waiting, AWaiterGetsTheLockWhenItIsReleased) {
  auto held = this->acquire("handed", "instance-1");
  ASSERT_EQ(held.status, 200);
  Asking second = this->waiting("handed", "instance-2");
  EXPECT_TRUE(second.is_silent());
  EXPECT_EQ(this->release("handed", "instance-1").status, 200);
  auto granted = second.answer();
  ASSERT_EQ(granted.status, 200);
  EXPECT_THAT(granted.body, AllOf(HasSubstr(R"("instanceId":"instance-2")"), HasSubstr(R"("ttl":60)")));
  EXPECT_GT(this->token_of(granted), this->token_of(held));
  EXPECT_EQ(this->waiters("handed"), 0);
}

TYPED_TEST(Waiting, AWaiterGetsTheLockWhenItsLeaseEnds) {
  ASSERT_EQ(this->acquire("ending", "instance-1", 1).status, 200);
  Asking second = this->waiting("ending", "instance-2");
  EXPECT_EQ(second.answer().status, 200);
}

TYPED_TEST(Waiting, GrantsFollowTheOrderOfJoining) {
  ASSERT_EQ(this->acquire("order", "holder-0").status, 200);
  std::deque<Asking> line;
  for (int i = 1; i <= 20; ++i) line.push_back(this->waiting("order", "holder-" + std::to_string(i)));
  std::int64_t token = 0;
  for (int i = 1; i <= 20; ++i) {
    ASSERT_EQ(this->release("order", "holder-" + std::to_string(i - 1)).status, 200);
    auto granted = line.front().answer();
    ASSERT_EQ(granted.status, 200);
    EXPECT_THAT(granted.body, HasSubstr("\"holder-" + std::to_string(i) + "\""));
    EXPECT_GT(this->token_of(granted), token);
    token = this->token_of(granted);
    line.pop_front();
    for (Asking& other : line) EXPECT_TRUE(other.is_silent(0));
  }
}

// Not even a try between a release and the grant to the head of the queue overtakes.
TYPED_TEST(Waiting, NoRequestOvertakes) {
  ASSERT_EQ(this->acquire("fair", "holder-0").status, 200);
  for (int i = 1; i <= 100; ++i) {
    Asking next = this->waiting("fair", "holder-" + std::to_string(i));
    Asking overtaking = asking_for(this->server(), "fair", asked("newcomer", 60));
    ASSERT_EQ(this->release("fair", "holder-" + std::to_string(i - 1)).status, 200);
    auto tried = this->acquire("fair", "newcomer");
    EXPECT_EQ(tried.status, 423) << tried.body;
    EXPECT_EQ(overtaking.answer().status, 423);
    EXPECT_EQ(next.answer().status, 200);
  }
}

TYPED_TEST(Waiting, ATimeoutIsARefusalThatSaysWhy) {
  auto held = object_of(this->acquire("patience", "instance-1").body);
  Asking first = this->waiting("patience", "instance-2");
  auto begun = std::chrono::steady_clock::now();
  auto refused = this->acquire("patience", "instance-3", 60, "1");
  EXPECT_THAT(std::chrono::steady_clock::now() - begun, AllOf(Ge(1s), Le(3s)));
  EXPECT_EQ(refused.status, 423);
  EXPECT_EQ(refused.body,
            R"({"success":false,"namespace":"space","lockName":"patience","owner":"anonymous","expiry":)" +
                std::to_string(held.at("expiry").as_int64()) + R"(,"ahead":1})");
  EXPECT_TRUE(eventually([&] { return this->waiters("patience") == 1; }));
  EXPECT_TRUE(first.is_silent(0));
}

TYPED_TEST(Waiting, ForZeroSecondsIsNoWait) {
  ASSERT_EQ(this->acquire("zero", "instance-1").status, 200);
  auto refused = this->acquire("zero", "instance-2", 60, "0");
  EXPECT_EQ(refused.status, 423);
  EXPECT_THAT(refused.body, AllOf(HasSubstr(R"("owner":"anonymous")"), Not(HasSubstr("ahead"))));
  EXPECT_EQ(this->acquire("zero-free", "instance-2", 60, "5").status, 200) << "what is free is had at once";
}

TYPED_TEST(Waiting, AnInvalidWaitIsRefused) {
  auto expect = [&](const std::string& wait, const std::string& error) {
    auto refused = this->acquire("bad-wait", "instance-1", 60, wait);
    EXPECT_EQ(refused.status, 400) << wait;
    EXPECT_EQ(refused.body, R"({"message":"JSON validation failed","details":["$.wait: )" + error + "\"]}");
  };
  expect("-1", "must have a minimum value of 0");
  expect("3601", "must have a maximum value of 3600");
  expect("1.5", "number found, integer expected");
  expect("\"10\"", "string found, integer expected");
  expect("null", "null found, integer expected");
  auto renewed = this->post(path_of("bad-wait", "renew"), asked("instance-1", 60, "1"));
  EXPECT_EQ(renewed.status, 400) << "only an acquire waits";
}

TYPED_TEST(Waiting, ForALockThatTheCallerHoldsIsNoWait) {
  auto held = this->acquire("own", "instance-1");
  auto again = this->acquire("own", "instance-1", 60, "60");
  EXPECT_EQ(again.status, 200);
  EXPECT_GT(this->token_of(again), this->token_of(held));
}

TYPED_TEST(Waiting, AClientThatDisconnectsLeavesTheQueue) {
  ASSERT_EQ(this->acquire("left", "instance-1").status, 200);
  Asking second = this->waiting("left", "instance-2");
  Asking third = this->waiting("left", "instance-3");
  second.disconnect();
  auto told = second.answer();
  EXPECT_EQ(told.status, 400) << "its client reads on";
  EXPECT_THAT(told.body, HasSubstr("left the line"));
  EXPECT_TRUE(eventually([&] { return this->waiters("left") == 1; }));
  EXPECT_EQ(this->release("left", "instance-1").status, 200);
  EXPECT_THAT(third.answer().body, HasSubstr("instance-3"));
}

// Pipelined requests are no disconnect, and are answered after the waiting one, in their order.
TYPED_TEST(Waiting, RequestsBehindOneThatWaitsAreAnsweredAfterIt) {
  ASSERT_EQ(this->acquire("pipe", "instance-1").status, 200);
  std::string body = asked("instance-2", 60, "60");
  TestClient client = this->server().connect();
  client.send("POST " + path_of("pipe", "acquire") +
              " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body + "GET " +
              path_of("pipe") + " HTTP/1.1\r\nHost: h\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return this->waiters("pipe") == 1; }));
  EXPECT_EQ(client.read_for(100), "");
  ASSERT_EQ(this->release("pipe", "instance-1").status, 200);
  EXPECT_THAT(client.read_response().body, HasSubstr(R"("instanceId":"instance-2")"));
  EXPECT_THAT(client.read_response().body, HasSubstr(R"("waiters":0)"));
  EXPECT_EQ(client.read_response().status, 200);
}

TYPED_TEST(Waiting, TheNewerOfTwoRequestsOfOneInstanceCounts) {
  ASSERT_EQ(this->acquire("twice", "instance-1").status, 200);
  Asking older = this->waiting("twice", "instance-2");
  Asking other = this->waiting("twice", "instance-3");
  Asking newer = asking_for(this->server(), "twice", asked("instance-2", 60, "60"));
  auto told = older.answer();
  EXPECT_EQ(told.status, 409) << told.body;
  EXPECT_EQ(this->release("twice", "instance-1").status, 200);
  EXPECT_EQ(newer.answer().status, 200) << "it has the place of the older";
  EXPECT_TRUE(other.is_silent());
}

// At any moment of the reset, no client is left with a lock that it does not know of.
TYPED_TEST(Waiting, AResetAtTheInstantOfTheGrantLeavesNoHolding) {
  std::mt19937 random(3);
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(this->acquire("ghost", "instance-1").status, 200);
    Asking waiting = this->waiting("ghost", "instance-2");
    std::jthread releasing(
        [&] { this->server().ask("POST", path_of("ghost", "release"), R"({"instanceId":"instance-1"})"); });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 1500));  // real time: the moments are drawn
    waiting.reset();
    releasing.join();
    // Either the grant had been handed over, and the kernel had the whole answer, or the lock is free.
    auto next = this->acquire("ghost", "instance-3", 60, "0");
    if (next.status != 200) {
      EXPECT_EQ(this->release("ghost", "instance-2").status, 200);
      ASSERT_TRUE(eventually([&] { return this->acquire("ghost", "instance-3", 60, "0").status == 200; }));
    }
    ASSERT_EQ(this->release("ghost", "instance-3").status, 200);
  }
}

TEST(WaitingAndTheEnd, AServerThatEndsSendsItsWaitersElsewhere) {
  ServerProcess server({.environment = ServerProcess::open_memory()});
  ASSERT_EQ(server.ask("POST", path_of("ends", "acquire"), asked("instance-1", 60)).status, 200);
  Asking waiting = asking_for(server, "ends", asked("instance-2", 60, "60"));
  ASSERT_TRUE(
      eventually([&] { return server.ask("GET", path_of("ends")).body.find(R"("waiters":1)") != std::string::npos; }));
  server.process().signal(SIGTERM);
  auto told = waiting.answer();
  EXPECT_EQ(told.status, 503);
  EXPECT_EQ(told.body, R"({"message":"Server is draining"})");
  EXPECT_EQ(told.header("Retry-After"), "1");
  EXPECT_EQ(server.process().wait(), 0) << server.err();
}

TEST(WaitingAndTheEnd, AThousandWaitersAreAllSentElsewhere) {
  constexpr std::size_t kWaiters = 1'000;
  allow_open_files(kWaiters + 100);
  ServerProcess server({.environment = ServerProcess::open_memory()});
  ASSERT_EQ(server.ask("POST", path_of("ends", "acquire"), asked("instance-0", 60)).status, 200);
  ASSERT_EQ(server.ask("POST", "/lease", R"({"key":"ends"})").status, 201);
  const std::string set = R"({"names":["ends","other"],"wait":60,"leaseDuration":60,"instanceId":"set-)";
  std::deque<Asking> line;
  for (std::size_t i = 0; i < kWaiters; ++i) {
    std::string number = std::to_string(i);
    if (i % 3 == 0) line.emplace_back(server, path_of("ends", "acquire"), asked("holder-" + number, 60, "60"));
    if (i % 3 == 1) line.emplace_back(server, "/v1/space/locks/acquire", set + number + "\"}");
    if (i % 3 == 2) line.emplace_back(server, "/lease", R"({"key":"ends"})", "x-lease-wait: 60s\r\n");
  }
  // These are the last waiters of the locks; those of the lease were asked before.
  ASSERT_TRUE(eventually([&] {
    return server.ask("GET", "/metrics").body.find("\nshared_lock_lock_waiters 667\n") != std::string::npos;
  }));
  server.process().signal(SIGTERM);
  for (Asking& waiting : line) {
    auto told = waiting.answer();
    EXPECT_EQ(told.status, 503) << told.body;
    EXPECT_EQ(told.header("Retry-After"), "1");
  }
  EXPECT_EQ(server.process().wait(), 0) << server.err();
}

// The waiters that get served join one by one, so that their order is known; then all the others at once.
TEST(WaitingCrowd, IsServedInOrderAndLeavesNothingBehind) {
  constexpr std::size_t kWaiters = kFullSpeed ? 10'000 : 1'000;
  constexpr std::size_t kServed = kWaiters / 8;
  allow_open_files(kWaiters + 100);
  Environment many{{"SHARED_LOCK_MAX_WAITERS", std::to_string(kWaiters)}};
  ServerProcess server({.environment = ServerProcess::open_memory(many)});
  TestClient client = server.connect();
  auto has_waiters = [&](std::size_t count) {
    std::string lock = client.request("GET", path_of("crowd")).body;
    std::string metrics = client.request("GET", "/metrics").body;
    return lock.find("\"waiters\":" + std::to_string(count) + "}") != std::string::npos &&
           metrics.find("\nshared_lock_lock_waiters " + std::to_string(count) + "\n") != std::string::npos;
  };
  auto holder = [](std::size_t number) { return "holder-" + std::to_string(number); };
  ASSERT_EQ(client.request("POST", path_of("crowd", "acquire"), asked(holder(0), 600)).status, 200);
  std::deque<Asking> line;
  while (line.size() < kWaiters) {
    line.emplace_back(server, path_of("crowd", "acquire"), asked(holder(line.size() + 1), 600, "600"));
    ASSERT_TRUE(line.size() > kServed || eventually([&] { return has_waiters(line.size()); }));
  }
  ASSERT_TRUE(eventually([&] { return has_waiters(kWaiters); }, 60s));

  std::int64_t token = 0;
  for (std::size_t i = 1; i <= kServed; ++i) {
    auto released = client.request("POST", path_of("crowd", "release"), R"({"instanceId":")" + holder(i - 1) + "\"}");
    ASSERT_EQ(released.status, 200);
    auto granted = line.front().answer();
    ASSERT_EQ(granted.status, 200);
    EXPECT_THAT(granted.body, HasSubstr("\"" + holder(i) + "\""));
    EXPECT_GT(number_in(granted.header("X-Fencing-Token")), token);
    token = number_in(granted.header("X-Fencing-Token"));
    line.pop_front();
  }
  EXPECT_TRUE(eventually([&] { return has_waiters(kWaiters - kServed); }));
  EXPECT_TRUE(std::ranges::all_of(line, [](Asking& other) { return other.is_silent(0); }));

  for (std::size_t i = 0; i < line.size(); i += 2) line[i].reset();
  line.clear();
  EXPECT_TRUE(eventually([&] { return has_waiters(0); }, 60s));
  auto told = client.request("POST", path_of("crowd", "acquire"), asked("newcomer", 60));
  EXPECT_THAT(told.body, HasSubstr("\"success\":false")) << "it is still held by the last one served";
  EXPECT_EQ(client.request("POST", path_of("crowd", "release"), R"({"instanceId":")" + holder(kServed) + "\"}").status,
            200);
  EXPECT_EQ(client.request("POST", path_of("crowd", "acquire"), asked("newcomer", 60)).status, 200);
  EXPECT_EQ(server.stop(), 0) << server.err();
}

TEST(WaitingAndTheEnd, StrictAnswersSayNoMoreThanTheReplacedService) {
  ServerProcess server({.environment = ServerProcess::open_memory({{"COMPAT_STRICT", "true"}})});
  auto granted = server.ask("POST", path_of("strict", "acquire"), asked("instance-1", 60));
  EXPECT_THAT(granted.body, AllOf(Not(HasSubstr("fencingToken")), Not(HasSubstr("ttl"))));
  EXPECT_TRUE(granted.header("X-Fencing-Token").has_value());
  EXPECT_EQ(granted.header("X-Lock-Ttl"), "60") << "what a client may count on, where the body may not say it";
  auto renewed = server.ask("POST", path_of("strict", "renew"), asked("instance-1", 60));
  EXPECT_THAT(renewed.body, Not(HasSubstr("ttl")));
  EXPECT_TRUE(renewed.header("X-Lock-Ttl").has_value());
  EXPECT_EQ(server.ask("POST", path_of("strict", "acquire"), asked("instance-2", 60, "1")).body,
            R"({"success":false,"namespace":"space","lockName":"strict"})");
  EXPECT_THAT(server.ask("GET", path_of("strict")).body,
              AllOf(HasSubstr("expiry"), Not(HasSubstr("fencingToken")), Not(HasSubstr("waiters"))));
  EXPECT_EQ(server.stop(), 0) << server.err();
}

}  // namespace
}  // namespace sharedlock::test
