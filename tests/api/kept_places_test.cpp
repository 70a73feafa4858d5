// Queue entries that are kept for clients that were cut off or ran out of time (R37), as those clients see it.
#include <array>
#include <chrono>
#include <random>

#include "api/api_test.h"
#include "api/own_stores.h"
#include "support/asking.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;

// An acquire that waits with its queue entry to be kept; of one lock, or with "names" of several.
std::string asked(const std::string& instance, int wait, int keep_place, const std::string& names = "") {
  return "{" + names + R"("instanceId":")" + instance + R"(","leaseDuration":60,"wait":)" + std::to_string(wait) +
         R"(,"keepPlace":)" + std::to_string(keep_place) + "}";
}

template <class Settings>
class KeptPlaces : public OnServer<Settings> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(eventually([this] { return here() == 0; })) << "of the case before";
  }
  TestResponse change(const std::string& name, const std::string& what, const std::string& instance) {
    std::string duration = what == "acquire" ? R"(,"leaseDuration":60)" : "";
    return this->post("/v1/space/lock/" + name + "/" + what, R"({"instanceId":")" + instance + "\"" + duration + "}");
  }
  std::int64_t waiters(const std::string& name) {
    auto lock = object_of(this->ask("GET", "/v1/space/lock/" + name).body);
    return lock.contains("waiters") ? lock.at("waiters").as_int64() : 0;
  }
  // A waiting request that has its queue entry when this returns.
  Asking waiting(const std::string& name, const std::string& instance, int keep_place = 10, int wait = 60) {
    std::int64_t before = waiters(name);
    Asking asking(this->server(), "/v1/space/lock/" + name + "/acquire", asked(instance, wait, keep_place));
    EXPECT_TRUE(eventually([&] { return waiters(name) == before + 1; }));
    return asking;
  }
  Asking back(const std::string& name, const std::string& instance) {
    return Asking(this->server(), "/v1/space/lock/" + name + "/acquire", asked(instance, 60, 10));
  }
  // Waiting clients that are connected.
  std::int64_t here() {
    std::string text = this->ask("GET", "/metrics").body;
    return number_in(text.substr(text.find("\nshared_lock_lock_waiters ") + 26, 9));
  }
};

TYPED_TEST_SUITE(KeptPlaces, OwnStores);

TYPED_TEST(KeptPlaces, SafetyR37_AClientThatIsCutOffOrTimesOutGetsItsEntryBack) {
  ASSERT_EQ(this->change("kept", "acquire", "instance-1").status, 200);
  Asking second = this->waiting("kept", "instance-2", 10, 1);
  Asking third = this->waiting("kept", "instance-3");
  Asking fourth = this->waiting("kept", "instance-4");
  third.disconnect();
  EXPECT_EQ(second.answer().status, 423);
  ASSERT_TRUE(eventually([&] { return this->here() == 1; }));
  EXPECT_EQ(this->waiters("kept"), 3);
  Asking third_again = this->back("kept", "instance-3");
  Asking second_again = this->back("kept", "instance-2");
  ASSERT_TRUE(eventually([&] { return this->here() == 3; }));
  EXPECT_EQ(this->waiters("kept"), 3) << "each has its own place";
  EXPECT_EQ(this->change("kept", "release", "instance-1").status, 200);
  EXPECT_EQ(second_again.answer().status, 200);
  EXPECT_EQ(this->change("kept", "release", "instance-2").status, 200);
  EXPECT_EQ(third_again.answer().status, 200);
  EXPECT_TRUE(fourth.is_silent(0));
  EXPECT_EQ(this->change("kept", "release", "instance-3").status, 200);
  EXPECT_EQ(fourth.answer().status, 200);
}

// Also when the server has not noticed that the older connection is dead.
TYPED_TEST(KeptPlaces, SafetyR37_AnOlderConnectionIsToldThatItWasSuperseded) {
  ASSERT_EQ(this->change("older", "acquire", "instance-1").status, 200);
  Asking older = this->waiting("older", "instance-2");
  Asking other = this->waiting("older", "instance-3");
  Asking newer = this->back("older", "instance-2");
  EXPECT_EQ(older.answer().status, 409);
  EXPECT_EQ(this->waiters("older"), 2);
  EXPECT_EQ(this->change("older", "release", "instance-1").status, 200);
  EXPECT_EQ(newer.answer().status, 200);
  EXPECT_TRUE(other.is_silent());
}

// R3: granted to an absent client, the lock would be held without any client knowing.
TYPED_TEST(KeptPlaces, SafetyR37_AnAbsentClientIsGrantedNothingAndPassedAfterASecond) {
  ASSERT_EQ(this->change("away", "acquire", "instance-1").status, 200);
  Asking second = this->waiting("away", "instance-2");
  Asking third = this->waiting("away", "instance-3");
  second.disconnect();
  ASSERT_TRUE(eventually([&] { return this->here() == 1; }));
  auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(this->change("away", "release", "instance-1").status, 200);
  bool is_silent = third.is_silent(300);
  auto lock = object_of(this->ask("GET", "/v1/space/lock/away").body);
  // On a busy machine that second may be over by now, which the checks below allow for.
  bool in_time = std::chrono::steady_clock::now() - begun < 950ms;
  EXPECT_TRUE(is_silent || !in_time) << "there is still time to come back";
  EXPECT_TRUE(!lock.contains("owner") || !in_time) << "free";
  EXPECT_EQ(third.answer().status, 200);
  EXPECT_THAT(std::chrono::steady_clock::now() - begun, AllOf(Ge(950ms), Le(5s)));
  EXPECT_EQ(this->waiters("away"), 0);
}

TYPED_TEST(KeptPlaces, SafetyR37_AnEntryIsKeptForAsLongAsWasAsked) {
  ASSERT_EQ(this->change("long", "acquire", "instance-1").status, 200);
  Asking second = this->waiting("long", "instance-2", 1);
  Asking third = this->waiting("long", "instance-3", 0);
  auto begun = std::chrono::steady_clock::now();
  second.disconnect();
  third.disconnect();
  EXPECT_TRUE(eventually([&] { return this->waiters("long") == 1; })) << "the one that is not kept";
  EXPECT_TRUE(eventually([&] { return this->waiters("long") == 0; }));
  EXPECT_THAT(std::chrono::steady_clock::now() - begun, AllOf(Ge(950ms), Le(5s)));
}

TYPED_TEST(KeptPlaces, SafetyR37_AReleaseByAWaiterLeavesNoEntryBehind) {
  ASSERT_EQ(this->change("given-up", "acquire", "instance-1").status, 200);
  Asking second = this->waiting("given-up", "instance-2");
  Asking third = this->waiting("given-up", "instance-3");
  second.disconnect();
  ASSERT_TRUE(eventually([&] { return this->here() == 1; }));
  EXPECT_EQ(this->change("given-up", "release", "instance-2").status, 423) << "it holds nothing";
  EXPECT_TRUE(eventually([&] { return this->waiters("given-up") == 1; }, 3s));
  // And before its disconnect is noticed.
  EXPECT_EQ(this->change("given-up", "release", "instance-3").status, 423);
  EXPECT_EQ(this->waiters("given-up"), 1) << "as long as it is there, it waits";
  third.disconnect();
  EXPECT_TRUE(eventually([&] { return this->waiters("given-up") == 0; }, 3s));
}

TYPED_TEST(KeptPlaces, SafetyR37_ASetGetsAllItsEntriesBack) {
  const std::string set = R"("names":["set-b","set-a"],)";
  for (const auto* name : {"set-a", "set-b"}) ASSERT_EQ(this->change(name, "acquire", "instance-1").status, 200);
  Asking second(this->server(), "/v1/space/locks/acquire", asked("instance-2", 60, 10, set));
  ASSERT_TRUE(eventually([&] { return this->waiters("set-b") == 1; }));
  Asking third = this->waiting("set-a", "instance-3");
  Asking fourth = this->waiting("set-b", "instance-4");
  second.disconnect();
  ASSERT_TRUE(eventually([&] { return this->here() == 2; }));
  EXPECT_EQ(this->change("set-b", "release", "instance-1").status, 200);
  EXPECT_TRUE(fourth.is_silent()) << "it is free, but this is not the first in its line";
  Asking again(this->server(), "/v1/space/locks/acquire", asked("instance-2", 60, 10, set));
  ASSERT_TRUE(eventually([&] { return this->here() == 3; }));
  EXPECT_EQ(this->change("set-a", "release", "instance-1").status, 200);
  EXPECT_EQ(again.answer().status, 200);
  EXPECT_TRUE(third.is_silent(0));
  EXPECT_TRUE(fourth.is_silent(0));
  auto released = this->post("/v1/space/locks/release", "{" + set + R"("instanceId":"instance-2"})");
  EXPECT_EQ(released.status, 200);
  EXPECT_EQ(third.answer().status, 200);
  EXPECT_EQ(fourth.answer().status, 200);
}

TYPED_TEST(KeptPlaces, SafetyR37_EntriesOfLeasesAreKeptToo) {
  const std::string body = R"({"key":"kept","value":"v"})";
  std::mt19937_64 random(std::random_device{}());
  std::array<std::string, 2> headers;
  for (std::string& one : headers) {
    one = header_line("x-lease-id", std::to_string((random() >> 1) | (std::uint64_t{1} << 41))) +
          "x-lease-wait: 60s\r\nx-lease-keep-place: 10s\r\n";
  }
  auto held = this->post("/lease", body);
  ASSERT_EQ(held.status, 201);
  Asking second(this->server(), "/lease", body, headers[0]);
  EXPECT_TRUE(second.is_silent(300)) << "by then it has its place";
  Asking third(this->server(), "/lease", body, headers[1]);
  EXPECT_TRUE(third.is_silent(300));
  second.disconnect();
  EXPECT_TRUE(third.is_silent(100));
  Asking again(this->server(), "/lease", body, headers[0]);
  EXPECT_TRUE(again.is_silent(100));
  EXPECT_EQ(this->post("/release", held.body).status, 200);
  EXPECT_EQ(again.answer().status, 201);
  EXPECT_TRUE(third.is_silent());
}

}  // namespace
}  // namespace sharedlock::test
