// Several locks at once, as a client sees it.
#include <array>
#include <deque>

#include "api/api_test.h"
#include "api/own_stores.h"
#include "support/asking.h"
#include "support/effort.h"
#include "support/eventually.h"
#include "support/set_clients.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

std::string body_of(const std::string& names, const std::string& instance, const std::string& more = "") {
  std::string quoted;
  for (std::size_t at = 0; at <= names.size();) {
    std::size_t end = std::min(names.find(' ', at), names.size());
    quoted += (quoted.empty() ? "\"" : ",\"") + names.substr(at, end - at) + '"';
    at = end + 1;
  }
  return R"({"names":[)" + quoted + R"(],"instanceId":")" + instance + '"' + more + "}";
}

std::string asked(const std::string& names, const std::string& instance, int duration = 60, int wait = 0) {
  return body_of(names, instance,
                 R"(,"leaseDuration":)" + std::to_string(duration) + R"(,"wait":)" + std::to_string(wait));
}

constexpr const char* kAcquire = "/v1/space/locks/acquire";

template <class Settings>
class Sets : public OnServer<Settings> {
 protected:
  TestResponse acquire(const std::string& names, const std::string& instance, int duration = 60, int wait = 0) {
    return this->post(kAcquire, asked(names, instance, duration, wait));
  }
  TestResponse renew(const std::string& names, const std::string& instance) {
    return this->post("/v1/space/locks/renew", body_of(names, instance, R"(,"leaseDuration":60,"from":"now")"));
  }
  TestResponse release(const std::string& names, const std::string& instance) {
    return this->post("/v1/space/locks/release", body_of(names, instance));
  }
  TestResponse acquire_one(const std::string& name, const std::string& instance) {
    return this->post("/v1/space/lock/" + name + "/acquire",
                      R"({"instanceId":")" + instance + R"(","leaseDuration":60})");
  }
  boost::json::object look(const std::string& name) {
    return object_of(this->ask("GET", "/v1/space/lock/" + name).body);
  }
  bool is_free(const std::string& name) { return !look(name).contains("expiry"); }
  std::int64_t waiters() {
    std::string text = this->ask("GET", "/metrics").body;
    std::string metric = "\nshared_lock_lock_waiters ";
    return std::stoll(text.substr(text.find(metric) + metric.size()));
  }
  // A waiting request that has its queue entries when this returns.
  Asking waiting(const std::string& names, const std::string& instance) {
    Asking asking(this->server(), kAcquire, asked(names, instance, 60, 60));
    EXPECT_TRUE(eventually([&] { return in_queue(names); }));
    return asking;
  }
  bool in_queue(const std::string& names) {
    auto lock = look(names.substr(0, names.find(' ')));
    return lock.contains("waiters") && lock.at("waiters").as_int64() > 0;
  }
};

TYPED_TEST_SUITE(Sets, OwnStores);

TYPED_TEST(Sets, AreTakenRenewedAndReleased) {
  auto answer = this->acquire("life-1 life-2", "instance-1");
  EXPECT_EQ(answer.header("X-Lock-Ttl"), "60");
  auto taken = object_of(answer.body);
  EXPECT_TRUE(taken.at("success").as_bool());
  EXPECT_EQ(taken.at("ttl").as_int64(), 60);
  EXPECT_NEAR(static_cast<double>(taken.at("expiry").as_int64()), static_cast<double>(epoch_now() + 60), 2);
  auto& first = taken.at("locks").as_array().at(0).as_object();
  EXPECT_EQ(first.at("lockName").as_string(), "life-1");
  EXPECT_EQ(first.at("fencingToken"), this->look("life-1").at("fencingToken"));
  auto renewed = this->renew("life-1 life-2", "instance-1");
  EXPECT_EQ(renewed.status, 200);
  EXPECT_EQ(object_of(renewed.body).at("locks"), taken.at("locks"));
  auto released = this->release("life-1 life-2", "instance-1");
  EXPECT_EQ(released.status, 200);
  EXPECT_EQ(released.body, R"({"success":true,"locks":[{"lockName":"life-1"},{"lockName":"life-2"}]})");
  EXPECT_TRUE(this->is_free("life-1") && this->is_free("life-2"));
}

TYPED_TEST(Sets, ARefusalNamesWhatStandsInTheWay) {
  ASSERT_EQ(this->acquire_one("way-2", "instance-1").status, 200);
  auto refused = this->acquire("way-1 way-2", "instance-2");
  EXPECT_EQ(refused.status, 423);
  EXPECT_EQ(refused.body, R"({"success":false,"blockedBy":["way-2"]})");
  EXPECT_TRUE(this->is_free("way-1"));
  EXPECT_EQ(this->renew("way-1 way-2", "instance-1").body, R"({"success":false,"blockedBy":["way-1"]})");
  EXPECT_EQ(this->release("way-1 way-2", "instance-2").body, R"({"success":false,"blockedBy":["way-2"]})");
}

TYPED_TEST(Sets, AnInvalidSetIsRefused) {
  auto expect = [&](const std::string& body, const std::string& error) {
    auto refused = this->post(kAcquire, body);
    EXPECT_EQ(refused.status, 400) << body;
    EXPECT_THAT(refused.body, AllOf(HasSubstr(R"({"message":"JSON validation failed")"), HasSubstr(error)));
  };
  auto with_names = [](const std::string& names) {
    return R"({"names":)" + names + R"(,"instanceId":"instance-1","leaseDuration":5})";
  };
  auto numbered = [](int count) {
    std::string names = "name-1";
    for (int i = 2; i <= count; ++i) names += " name-" + std::to_string(i);
    return names;
  };
  expect(with_names("[]"), "$.names: must have at least 1 items but found 0");
  expect(with_names(R"(["twice","other","twice"])"), "$.names: must have only unique items in the array");
  expect(with_names(R"(["good",7])"), "$.names[1]: integer found, string expected");
  expect(with_names(R"(["no"])"), "$.names[0]: must be at least 3 characters long");
  expect(with_names(R"(["not good"])"), "$.names[0]: does not match the regex pattern");
  expect(with_names(R"("name")"), "$.names: string found, array expected");
  expect(with_names("null"), "$.names: null found, array expected");
  expect(R"({"instanceId":"instance-1","leaseDuration":5})", "$: required property 'names' not found");
  expect(asked(numbered(33), "instance-1"), "$.names: must have at most 32 items but found 33");
  expect(asked(numbered(100), "instance-1"), "$.names: must have at most 32 items but found 100");
  EXPECT_EQ(this->acquire(numbered(32), "instance-1").status, 200);
  EXPECT_EQ(this->release(numbered(32), "instance-1").status, 200);
  EXPECT_EQ(this->post("/v1/no/locks/acquire", "{}").status, 400);
  EXPECT_EQ(this->ask("GET", kAcquire).status, 405);
  auto body = body_of("name-1", "instance-1", R"(,"wait":5)");
  EXPECT_EQ(this->post("/v1/space/locks/release", body).status, 400) << "only an acquire waits";
}

TYPED_TEST(Sets, AWaiterGetsAllLocksWhenTheLastIsFree) {
  ASSERT_EQ(this->acquire_one("last-1", "instance-1").status, 200);
  ASSERT_EQ(this->acquire_one("last-2", "instance-2").status, 200);
  Asking waiting = this->waiting("last-1 last-2 last-3", "instance-3");
  EXPECT_EQ(this->release("last-1", "instance-1").status, 200);
  EXPECT_TRUE(waiting.is_silent());
  auto overtaking = this->acquire_one("last-3", "instance-4");
  EXPECT_EQ(overtaking.status, 423) << "it is free, but the set was there before";
  EXPECT_EQ(this->acquire("last-3 last-4", "instance-4").body, R"({"success":false,"blockedBy":["last-3"]})");
  EXPECT_EQ(this->release("last-2", "instance-2").status, 200);
  auto granted = waiting.answer();
  EXPECT_EQ(granted.status, 200) << granted.body;
  EXPECT_EQ(object_of(granted.body).at("locks").as_array().size(), 3u);
  EXPECT_EQ(this->waiters(), 0);
}

TYPED_TEST(Sets, ATimeoutIsARefusalThatSaysWhy) {
  ASSERT_EQ(this->acquire_one("patience-2", "instance-1").status, 200);
  Asking first = this->waiting("patience-2 patience-1", "instance-2");
  auto refused = this->acquire("patience-3 patience-1 patience-2", "instance-3", 60, 1);
  EXPECT_EQ(refused.status, 423);
  EXPECT_EQ(refused.body, R"({"success":false,"blockedBy":["patience-1","patience-2"],"ahead":1})");
  EXPECT_TRUE(first.is_silent(0));
  EXPECT_TRUE(eventually([&] { return this->acquire_one("patience-3", "instance-4").status == 200; }));
}

TYPED_TEST(Sets, OverlappingSetsAreServedInTheirOrder) {
  ASSERT_EQ(this->acquire("ring-1 ring-2 ring-3", "holder").status, 200);
  std::deque<Asking> queue;
  const std::array<std::string, 3> sets{"ring-1 ring-2", "ring-2 ring-3", "ring-3 ring-1"};
  for (std::size_t i = 0; i < 3; ++i) {
    queue.emplace_back(this->server(), kAcquire, asked(sets[i], "instance-" + std::to_string(i), 60, 60));
    EXPECT_TRUE(eventually([&] { return this->waiters() == static_cast<std::int64_t>(i) + 1; }));
    EXPECT_TRUE(queue.back().is_silent());
  }
  EXPECT_EQ(this->release("ring-1 ring-2 ring-3", "holder").status, 200);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(queue.front().answer().status, 200);
    queue.pop_front();
    for (Asking& other : queue) EXPECT_TRUE(other.is_silent(0));
    EXPECT_EQ(this->release(sets[i], "instance-" + std::to_string(i)).status, 200);
  }
}

TYPED_TEST(Sets, AHolderOfOneLockMayNotWaitForAnother) {
  ASSERT_EQ(this->acquire_one("greedy-1", "instance-1").status, 200);
  ASSERT_EQ(this->acquire_one("greedy-2", "instance-2").status, 200);
  auto refused = this->acquire("greedy-1 greedy-2", "instance-1", 60, 30);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("$.names: 'greedy-1' is held by this instance"));
}

TYPED_TEST(Sets, TheNewerOfTwoRequestsOfOneInstanceCounts) {
  ASSERT_EQ(this->acquire_one("twice-1", "instance-1").status, 200);
  Asking older = this->waiting("twice-1 twice-2", "instance-2");
  Asking newer(this->server(), kAcquire, asked("twice-2 twice-1", "instance-2", 60, 60));
  EXPECT_EQ(older.answer().status, 409);
  EXPECT_EQ(this->release("twice-1", "instance-1").status, 200);
  EXPECT_EQ(newer.answer().status, 200);
}

TYPED_TEST(Sets, AClientThatDisconnectsLeavesAllQueues) {
  ASSERT_EQ(this->acquire_one("left-1", "instance-1").status, 200);
  Asking waiting = this->waiting("left-1 left-2", "instance-2");
  waiting.disconnect();
  EXPECT_TRUE(eventually([&] { return this->acquire_one("left-2", "instance-3").status == 200; }));
  EXPECT_TRUE(eventually([&] { return this->waiters() == 0; }));
}

TYPED_TEST(Sets, SafetyR25_RandomOverlappingSetsAreNeverPartialAndNeverStuck) {
  constexpr int kClients = 12;
  constexpr int kTurns = kFullSpeed ? 150 : 20;
  SetClients clients({&this->server()}, kClients, kTurns);
  EXPECT_EQ(clients.seen().taken, kClients * kTurns);
  EXPECT_EQ(clients.seen().two_inside, 0);
  EXPECT_EQ(clients.seen().tokens_fell, 0);
  EXPECT_EQ(clients.seen().partial, 0);
  EXPECT_EQ(clients.seen().other_answers, 0);
  EXPECT_EQ(this->waiters(), 0);
}

}  // namespace
}  // namespace sharedlock::test
