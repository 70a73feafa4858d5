// The client library against real servers, and against answers that none of our servers gives.
#include "sharedlock/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <csignal>
#include <future>
#include <random>
#include <thread>

#include "client/canned_server.h"
#include "sharedlock/asio.h"
#include "sharedlock/operations.h"
#include "support/effort.h"
#include "support/eventually.h"
#include "support/server_process.h"

namespace sharedlock::test {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using client::BootClock;
using client::Client;
using client::ClientOptions;
using client::Errc;
using client::Lease;
using client::LeaseOptions;
using client::Lock;
using client::LockOptions;
using client::Operations;
using client::Result;
using client::ScopedLock;
using std::chrono::seconds;
using testing::Ge;
using testing::Le;

std::string url_of(const ServerProcess& server) {
  return "http://127.0.0.1:" + std::to_string(server.port());
}

ClientOptions impatient(const std::string& url) {
  return ClientOptions(url).attempt_timeout(300ms).request_timeout(700ms);
}

template <class T>
Errc code_of(const Result<T>& result) {
  EXPECT_TRUE(result.has_error());
  return result.error().code;
}

class ClientLibrary : public testing::Test {
 protected:
  ServerProcess server{{.environment = ServerProcess::open_memory({{"SHARED_LOCK_ADMIN_TOKEN", "secret"}})}};
  Client one{ClientOptions(url_of(server)).admin_token("secret")};
  Client two{ClientOptions(url_of(server))};
};

// Its answers have no members but those of the service that it replaces: token and ttl are in headers.
TEST(ClientOfAStrictServer, TakesKeepsAndGivesBackLocksAndSets) {
  ServerProcess server{{.environment = ServerProcess::open_memory({{"COMPAT_STRICT", "true"}})}};
  Client client{ClientOptions(url_of(server))};
  auto lock = client.acquire("job", LockOptions().ttl(5s));
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_GT(lock->token(), 0);
  auto first = lock->safe_until();
  EXPECT_TRUE(eventually([&] { return lock->safe_until() > first; })) << "it renews itself";
  EXPECT_EQ(Operations(client).get("default", "job").value().token, lock->token());
  EXPECT_EQ(code_of(client.acquire("job")), Errc::held_by_another);
  auto set = client.acquire_all({"one", "other"});
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_TRUE(set->held());
  EXPECT_TRUE(set->release());
  EXPECT_TRUE(lock->release());
}

TEST_F(ClientLibrary, TakesALockAndGivesItBack) {
  auto lock = one.acquire("job").value();
  EXPECT_TRUE(lock.held());
  EXPECT_GT(lock.token(), 0);
  EXPECT_EQ(code_of(two.acquire("job")), Errc::held_by_another);
  EXPECT_TRUE(Operations(one).get("default", "job").value().held);
  EXPECT_TRUE(Operations(one).verify("default", "job", lock.token()).value().valid);
  EXPECT_TRUE(lock.release());
  EXPECT_FALSE(lock.held());
  EXPECT_FALSE(lock.stop_token().stop_requested()) << "it was not lost";
  EXPECT_TRUE(lock.release()) << "a second time is none";
  auto next = two.acquire("job").value();
  EXPECT_GT(next.token(), lock.token());
}

TEST_F(ClientLibrary, LineEndsAroundTokensDoNotCount) {
  Client client{ClientOptions(url_of(server)).token([] { return "a-token\r\n"; }).admin_token("secret\n")};
  auto lock = client.acquire("job");
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_TRUE(Operations(client).force_release("default", "job", "test"));
}

TEST_F(ClientLibrary, SafetyR07_SafetyIsCountedFromTheSending) {
  auto before = BootClock::now();
  auto lock = one.acquire("counted", LockOptions().ttl(20s)).value();
  EXPECT_THAT(lock.safe_until(), Ge(before + 19s));
  EXPECT_THAT(lock.safe_until(), Le(BootClock::now() + 19s)) << "20 s less the margin for clocks that differ";
}

TEST_F(ClientLibrary, RenewsByItself) {
  auto lock = one.acquire("renewed", LockOptions().ttl(1s)).value();
  auto first = lock.safe_until();
  EXPECT_TRUE(eventually([&] { return lock.safe_until() > first + 2s; }));
  EXPECT_TRUE(lock.held());
  EXPECT_EQ(code_of(two.acquire("renewed")), Errc::held_by_another);
}

TEST_F(ClientLibrary, IsReleasedWhenItIsDestroyed) {
  {
    auto lock = one.acquire("scoped").value();
  }
  EXPECT_TRUE(eventually([&] { return two.acquire("scoped").has_value(); }));
}

TEST_F(ClientLibrary, SaysThatItIsLost) {
  auto lock = one.acquire("taken", LockOptions().ttl(3s)).value();
  std::promise<bool> over;
  lock.when_over([&](bool lost) { over.set_value(lost); });
  ASSERT_TRUE(Operations(one).force_release("default", "taken", "test"));
  EXPECT_TRUE(over.get_future().get());
  EXPECT_FALSE(lock.held());
  EXPECT_TRUE(lock.stop_token().stop_requested());
  EXPECT_EQ(code_of(lock.release()), Errc::lost);
}

TEST_F(ClientLibrary, SafetyR07_ALockOfAHangingServerIsLostBeforeItsTimeIsUp) {
  auto lock = one.acquire("still", LockOptions().ttl(2s)).value();
  std::promise<BootClock::time_point> over;
  lock.when_over([&](bool) { over.set_value(BootClock::now()); });
  server.process().stop();
  auto stopped = BootClock::now();
  auto lost = over.get_future().get();
  EXPECT_THAT(lost, Ge(lock.safe_until())) << "not before";
  EXPECT_THAT(lost, Le(stopped + 2s)) << "the server may give it away then";
  EXPECT_FALSE(lock.held());
  server.process().resume();
}

TEST_F(ClientLibrary, WaitsInTheQueue) {
  auto lock = one.acquire("line").value();
  auto waiting = std::async(std::launch::async, [&] { return two.acquire("line", LockOptions().wait(30s)); });
  ASSERT_TRUE(eventually([&] { return Operations(one).get("default", "line").value().waiters == 1; }));
  ASSERT_TRUE(lock.release());
  auto next = waiting.get();
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_TRUE(next->held());
  auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(code_of(one.acquire("line", LockOptions().wait(1s))), Errc::held_by_another);
  EXPECT_THAT(std::chrono::steady_clock::now() - begun, Ge(1s));
}

// R7: a grant that waited longer than a quarter of its ttl is renewed before it is handed out.
TEST_F(ClientLibrary, SafetyR07_AGrantAfterWaitingIsFresh) {
  auto lock = one.acquire("fresh").value();
  auto waiting = std::async(std::launch::async, [&] { return two.acquire("fresh", LockOptions().ttl(2s).wait(30s)); });
  ASSERT_TRUE(eventually([&] { return Operations(one).get("default", "fresh").value().waiters == 1; }));
  std::this_thread::sleep_for(1500ms);  // real time: most of the ttl, as counted from the sending
  ASSERT_TRUE(lock.release());
  auto released = BootClock::now();
  auto next = waiting.get();
  ASSERT_TRUE(next);
  EXPECT_THAT(next->safe_until(), Ge(released + 1500ms));
}

TEST_F(ClientLibrary, TakesSeveralAtOnce) {
  auto lock = one.acquire_all({"set-1", "set-2"}, LockOptions().ttl(1s)).value();
  EXPECT_EQ(lock.tokens().size(), 2u);
  EXPECT_EQ(lock.names(), (std::vector<std::string>{"set-1", "set-2"}));
  EXPECT_EQ(code_of(two.acquire_all({"set-0", "set-2"})), Errc::held_by_another);
  auto first = lock.safe_until();
  EXPECT_TRUE(eventually([&] { return lock.safe_until() > first + 1s; })) << "it renews itself";
  ASSERT_TRUE(lock.release());
  EXPECT_TRUE(two.acquire_all({"set-0", "set-2"}));
}

TEST_F(ClientLibrary, HoldsLeases) {
  auto lease = one.lease("leased/key", LeaseOptions().value("me").ttl(1s)).value();
  EXPECT_EQ(Operations(one).get_lease("leased/key").value().value, "me");
  EXPECT_EQ(code_of(two.lease("leased/key")), Errc::held_by_another);
  auto first = lease.safe_until();
  EXPECT_TRUE(eventually([&] { return lease.safe_until() > first + 1s; })) << "it renews itself";
  auto waiting = std::async(std::launch::async, [&] { return two.lease("leased/key", LeaseOptions().wait(30s)); });
  EXPECT_EQ(waiting.wait_for(50ms), std::future_status::timeout);
  ASSERT_TRUE(lease.release());
  auto next = waiting.get();
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_GT(next->token(), lease.token());
  ASSERT_TRUE(Operations(one).release_lease(next->id()));
  EXPECT_EQ(code_of(next->release()), Errc::lost);
}

TEST_F(ClientLibrary, ARefusalByTheServerSaysWhy) {
  auto refused = one.acquire("no spaces");
  EXPECT_EQ(code_of(refused), Errc::refused);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("alphanumeric"));
  EXPECT_EQ(code_of(one.acquire("long", LockOptions().ttl(1000000s))), Errc::refused);
  EXPECT_EQ(code_of(Operations(two).force_release("default", "some", "")), Errc::refused);
  EXPECT_THROW(Client(ClientOptions("ftp://host")), client::Failure);
  EXPECT_THROW(Client(ClientOptions("http://")), client::Failure);
}

TEST_F(ClientLibrary, ServesCoroutines) {
  asio::io_context context;
  bool ran = false;
  auto work = [](Client* taking, Client* forcing, bool* done) -> asio::awaitable<void> {
    auto lock = co_await taking->acquire("coroutine", LockOptions().ttl(3s), asio::use_awaitable);
    EXPECT_TRUE(lock && lock->held());
    EXPECT_TRUE(Operations(*forcing).force_release("default", "coroutine", ""));
    bool lost = co_await lock->lost(asio::use_awaitable);
    EXPECT_TRUE(lost);
    auto lease = co_await taking->lease("coroutine", LeaseOptions(), asio::use_awaitable);
    EXPECT_TRUE(lease && lease->held());
    *done = true;
  };
  auto ended = asio::co_spawn(context, work(&two, &one, &ran), asio::use_future);
  context.run();
  ended.get();
  EXPECT_TRUE(ran);
}

TEST_F(ClientLibrary, ManyThreadsNeverHoldItTogether) {
  std::atomic<int> inside = 0;
  std::atomic<int> faults = 0;
  std::atomic<std::int64_t> token = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        for (int turn = 0; turn < (kFullSpeed ? 100 : 10); ++turn) {
          ScopedLock lock(i % 2 == 0 ? one : two, "inside");
          if (++inside != 1) ++faults;
          if (token.exchange(lock->token()) >= lock->token()) ++faults;
          if (!lock->held()) ++faults;
          --inside;
          EXPECT_TRUE(lock->release());
        }
      });
    }
  }
  EXPECT_EQ(faults, 0);
}

TEST_F(ClientLibrary, MayBeDestroyedAtEveryMoment) {
  std::mt19937 random(5);
  // A request that the server reads after the release of its lock holds the lock for its ttl.
  auto options = LockOptions().wait(60s).ttl(5s);
  for (int i = 0; i < (kFullSpeed ? 200 : 30); ++i) {
    std::optional<Lock> lock;
    std::atomic<int> answers = 0;
    {
      Client brief(ClientOptions(url_of(server)));
      brief.acquire_then("brief", options, [&](Result<Lock>) { ++answers; });
      brief.acquire_then("brief", options, [&](Result<Lock>) { ++answers; });
      if (i % 3 == 0) {
        auto kept = brief.acquire("kept-" + std::to_string(i));
        if (kept) lock.emplace(*std::move(kept));
      }
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));  // real time: the moments are drawn
    }
    EXPECT_TRUE(!lock || lock->held()) << "it outlives its client";
    lock.reset();
    EXPECT_TRUE(eventually([&] { return answers == 2; }));
  }
  EXPECT_TRUE(eventually([&] { return one.acquire("brief").has_value(); })) << "nothing is left behind";
}

TEST(ClientLibraryFaults, NoServerThere) {
  Client client(impatient("http://127.0.0.1:1"));
  auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(code_of(client.acquire("away")), Errc::unavailable);
  EXPECT_THAT(std::chrono::steady_clock::now() - begun, Le(5s));
  EXPECT_EQ(code_of(client.acquire("away", LockOptions().wait(client::kForEver))), Errc::unavailable);
}

TEST(ClientLibraryFaults, AServerThatSaysNothing) {
  ServerProcess server({.environment = ServerProcess::open_memory()});
  Client client(impatient(url_of(server)));
  server.process().stop();
  EXPECT_EQ(code_of(client.acquire("mute")), Errc::unavailable);
  server.process().resume();
  // What the server may have granted meanwhile is undone, long before its 15 s are over.
  Client other{ClientOptions(url_of(server))};
  EXPECT_TRUE(eventually([&] { return other.acquire("mute").has_value(); }, 5s));
}

TEST(ClientLibraryFaults, GarbageIsNoAnswer) {
  std::vector<std::jthread> threads;
  for (const std::string& garbage :
       {std::string("garbage\r\n\r\n"), CannedServer::response(200, "not json"), CannedServer::response(200, "[]"),
        CannedServer::response(200, R"({"success":true,"ttl":"x"})"),
        CannedServer::response(200, R"({"success":true,"ttl":9223372036854775807})"),
        CannedServer::response(200, R"({"ttl":15})" + std::string(100000, ' ')), CannedServer::response(503, "{}")}) {
    threads.emplace_back([garbage] {
      CannedServer server([&](const std::string&) { return garbage; });
      Client client(impatient(server.url()));
      EXPECT_EQ(code_of(client.acquire("garbled")), Errc::unavailable) << garbage.substr(0, 100);
    });
  }
}

// The first answer is lost; the repeat says the same instance, and is granted.
TEST(ClientLibraryFaults, ARepeatIsTheSameRequest) {
  std::mutex mutex;
  std::vector<std::string> acquires;
  CannedServer server([&](const std::string& request) -> std::string {
    std::scoped_lock lock(mutex);
    if (request.find("/acquire") == std::string::npos) return CannedServer::response(200, "{}");
    acquires.push_back(request.substr(request.find("\r\n\r\n")));
    if (acquires.size() < 3) return "";
    return CannedServer::response(200, R"({"success":true,"owner":"me","expiry":1,"fencingToken":7,"ttl":15})",
                                  "X-Fencing-Token: 7\r\n");
  });
  Client client{ClientOptions(server.url())};
  auto lock = client.acquire("again");
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_EQ(lock->token(), 7);
  EXPECT_THAT(acquires, testing::Each(acquires.front()));
}

TEST(ClientLibraryFaults, SafetyR07_ALateAnswerCountsFromItsSending) {
  CannedServer server([&](const std::string& request) -> std::string {
    bool acquires = request.find("/acquire") != std::string::npos;
    if (acquires) std::this_thread::sleep_for(700ms);  // real time: under a quarter of the ttl
    if (!acquires && request.find("/renew") != std::string::npos) return CannedServer::response(503, "{}");
    return CannedServer::response(200, R"({"success":true,"expiry":1,"fencingToken":7,"ttl":3})",
                                  "X-Fencing-Token: 7\r\n");
  });
  Client client{ClientOptions(server.url())};
  auto sending = BootClock::now();
  auto lock = client.acquire("late", LockOptions().ttl(3s)).value();
  EXPECT_THAT(lock.safe_until(), Le(sending + 2800ms)) << "3 s less the margin, and what passed before it was sent";
  EXPECT_TRUE(eventually([&] { return !lock.held(); }));
  EXPECT_THAT(BootClock::now(), Le(sending + 3s));
}

}  // namespace
}  // namespace sharedlock::test
