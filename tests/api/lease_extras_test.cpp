// What the lease API can do beyond the service that it replaces: release, ids that clients choose, looking, waiting in
// the queue, and what administrators may do.
#include <random>

#include "api/api_test.h"
#include "support/asking.h"
#include "support/eventually.h"
#include "support/temporary_directory.h"

namespace sharedlock::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::Not;

const std::string kAdmin = "X-Admin-Token: an-admin-token-of-some-length\r\n";

Environment with_admin(const Environment& more = {}) {
  Environment all = ServerProcess::open_memory(more);
  all["SHARED_LOCK_ADMIN_TOKEN"] = "an-admin-token-of-some-length";
  return all;
}

struct InMemory {
  static Environment environment() { return with_admin(); }
};
struct Embedded {
  static Environment environment() {
    static TemporaryDirectory directory;
    return with_admin({{"SHARED_LOCK_STORAGE_TYPE", "embedded"}, {"SHARED_LOCK_DATA_DIR", directory.path().string()}});
  }
};

std::string fresh_id() {
  static std::mt19937_64 random(std::random_device{}());
  return std::to_string((random() >> 1) | (std::uint64_t{1} << 41));
}

template <class Settings>
class LeaseExtras : public OnServer<Settings> {
 protected:
  TestResponse grant(const std::string& key, const std::string& headers = "", const std::string& value = "v") {
    return this->post("/lease", R"({"key":")" + key + R"(","value":")" + value + "\"}", headers);
  }
  TestResponse with_id(const std::string& key, const std::string& id, const std::string& value = "v",
                       const std::string& ttl = "60s") {
    return grant(key, header_line("x-lease-id", id) + header_line("x-lease-ttl", ttl), value);
  }
  TestResponse look(const std::string& key) { return this->ask("GET", "/lease?key=" + key); }
};

using Stores = testing::Types<InMemory, Embedded>;
TYPED_TEST_SUITE(LeaseExtras, Stores);

TYPED_TEST(LeaseExtras, AReleasedKeyIsFreeAtOnce) {
  auto granted = this->grant("released");
  ASSERT_EQ(granted.status, 201);
  EXPECT_EQ(this->post("/release", " " + granted.body + "\r\n").status, 200);
  EXPECT_EQ(this->post("/release", granted.body).status, 204) << "there is no such lease any more";
  EXPECT_EQ(this->post("/keepalive", granted.body).status, 204);
  EXPECT_EQ(this->grant("released").status, 201);
}

TYPED_TEST(LeaseExtras, AnUnknownLeaseIsNotReleased) {
  for (const auto* id : {"1", "0", "-7", "9223372036854775807"})
    EXPECT_EQ(this->post("/release", id).status, 204) << id;
  for (const auto* id : {"", "x", "1.5", "9223372036854775808"}) {
    auto refused = this->post("/release", id);
    EXPECT_EQ(refused.status, 500) << id;
    EXPECT_EQ(refused.body, "Failed to parse lease id");
  }
  EXPECT_EQ(this->ask("GET", "/release").status, 405);
}

TYPED_TEST(LeaseExtras, SafetyR01_ARepeatRenewsAndGetsItsOwnLease) {
  std::string id = fresh_id();
  auto first = this->with_id("repeat", id);
  ASSERT_EQ(first.status, 201) << first.body;
  EXPECT_EQ(first.body, id);
  auto again = this->with_id("repeat", id);
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, id);
  EXPECT_EQ(again.header("x-fencing-token"), first.header("x-fencing-token"));
  EXPECT_EQ(this->grant("repeat").status, 202) << "to others it is held";
}

// The schedule of R1: granted with a TTL of 2 s, the answer lost, repeated at 1.5 s; then it must last until 3.5 s.
TYPED_TEST(LeaseExtras, SafetyR01_ARepeatIsSafeForTheTtlThatItAnswers) {
  std::string id = fresh_id();
  ASSERT_EQ(this->with_id("late-repeat", id, "v", "2s").status, 201);
  std::this_thread::sleep_for(1500ms);  // real time: the schedule is one of times
  auto sent = std::chrono::steady_clock::now();
  auto again = this->with_id("late-repeat", id, "v", "2s");
  ASSERT_EQ(again.status, 201);
  EXPECT_EQ(again.header("x-lease-ttl"), "2");
  while (this->grant("late-repeat").status == 202) std::this_thread::sleep_for(20ms);  // real time: until it ends
  EXPECT_GE(std::chrono::steady_clock::now() - sent, 2s);
}

TYPED_TEST(LeaseExtras, SafetyR02_AnIdProvesNothingByItself) {
  std::string id = fresh_id();
  ASSERT_EQ(this->with_id("mine", id).status, 201);
  for (const auto& other : {this->with_id("mine", id, "another value"), this->with_id("another", id)}) {
    EXPECT_EQ(other.status, 409);
    EXPECT_EQ(other.body, "Lease id in use");
  }
  EXPECT_EQ(this->look("another").status, 404);
  EXPECT_EQ(this->with_id("mine", fresh_id()).status, 202) << "another id, another request";
}

TYPED_TEST(LeaseExtras, SafetyR02_IdsThatAreNotLargeRandomNumbersAreRefused) {
  for (const auto* id : {"1", "-1099511627776", "1099511627775", "x", "1e15", "9223372036854775808"}) {
    auto refused = this->with_id("made-up", id);
    EXPECT_EQ(refused.status, 400) << id;
    EXPECT_EQ(refused.body,
              "Failed to unmarshal request body: x-lease-id: a random number from 1099511627776 to "
              "9223372036854775807 expected");
  }
  EXPECT_EQ(this->with_id("made-up", "").status, 201) << "empty is as absent";
}

TYPED_TEST(LeaseExtras, AChosenIdWhoseLeaseHasEndedMayBeGrantedAgain) {
  std::string id = fresh_id();
  ASSERT_EQ(this->with_id("again", id).status, 201);
  EXPECT_EQ(this->post("/release", id).status, 200);
  EXPECT_EQ(this->with_id("again", id).status, 201);
}

TYPED_TEST(LeaseExtras, EveryCallerMayLookButNoneSeesTheId) {
  auto granted = this->grant("looked%20at", header_line("x-lease-ttl", "60s"), "some \\\"value\\\"");
  ASSERT_EQ(granted.status, 201);
  auto seen = this->look("looked%2520at");
  ASSERT_EQ(seen.status, 200) << seen.body;
  auto lease = object_of(seen.body);
  EXPECT_EQ(lease.at("key").as_string(), "looked%20at");
  EXPECT_EQ(lease.at("value").as_string(), "some \"value\"");
  EXPECT_THAT(lease.at("ttl").as_int64(), AllOf(Ge(58), Le(60)));
  EXPECT_EQ(lease.at("fencingToken").as_int64(), number_in(granted.header("x-fencing-token")));
  EXPECT_THAT(seen.body, Not(HasSubstr(granted.body)));
  EXPECT_EQ(this->ask("HEAD", "/lease?key=nobody").status, 404);
  EXPECT_EQ(this->look("nobody").body, "Nobody holds this key");
}

// Every library of clients writes a space in a query as a plus.
TYPED_TEST(LeaseExtras, AQueryIsReadAsAForm) {
  ASSERT_EQ(this->grant("form a b").status, 201);
  ASSERT_EQ(this->grant("form a+b").status, 201);
  auto key_seen = [&](const std::string& query) { return object_of(this->look(query).body).at("key").as_string(); };
  EXPECT_EQ(key_seen("form+a+b"), "form a b");
  EXPECT_EQ(key_seen("form%20a%20b"), "form a b");
  EXPECT_EQ(key_seen("form+a%2Bb"), "form a+b");
  EXPECT_EQ(key_seen("form%20a%2bb"), "form a+b");
  EXPECT_EQ(this->ask("GET", "/lease?k%65y=form+a+b").status, 200);
  EXPECT_EQ(this->look("form+a%252Bb").status, 404) << "decoded once";
  EXPECT_EQ(this->ask("DELETE", "/lease?key=form+a+b", "", kAdmin).status, 200);
  EXPECT_EQ(this->look("form+a+b").status, 404);
  EXPECT_EQ(this->look("form+a%2Bb").status, 200);
}

TYPED_TEST(LeaseExtras, AQueryThatNamesNoKeyIsRefused) {
  for (const std::string query : {"", "?", "?key", "?key=", "?kee=x", "?key=a&key=b", "?key=%ff"}) {
    EXPECT_EQ(this->ask("GET", "/lease" + query).status, 400) << query;
  }
  EXPECT_EQ(this->look(std::string(1024, 'k')).status, 404);
  EXPECT_EQ(this->look(std::string(1025, 'k')).status, 400);
}

TYPED_TEST(LeaseExtras, AWaiterGetsTheKeyWhenItIsReleased) {
  auto held = this->grant("waited");
  ASSERT_EQ(held.status, 201);
  TestClient client = this->server().connect();
  client.send(
      "POST /lease HTTP/1.1\r\nHost: h\r\nx-lease-wait: 30s\r\nx-lease-ttl: 7s\r\nContent-Length: "
      "16\r\n\r\n{\"key\":\"waited\"}");
  EXPECT_EQ(client.read_for(100), "");
  ASSERT_EQ(this->post("/release", held.body).status, 200);
  auto granted = client.read_response();
  EXPECT_EQ(granted.status, 201);
  EXPECT_EQ(granted.header("x-lease-ttl"), "7");
  EXPECT_EQ(this->post("/keepalive", granted.body).status, 200);
}

TYPED_TEST(LeaseExtras, ATimeoutIsARefusal) {
  ASSERT_EQ(this->grant("patience").status, 201);
  auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(this->grant("patience", "x-lease-wait: 300ms\r\n").status, 202);
  EXPECT_THAT(std::chrono::steady_clock::now() - begun, AllOf(Ge(300ms), Le(3s)));
  EXPECT_EQ(this->grant("patience", "x-lease-wait: 0s\r\n").status, 202);
}

TYPED_TEST(LeaseExtras, AnInvalidWaitIsRefused) {
  for (const auto* wait : {"10", "-1s", "61m", "x"}) {
    auto refused = this->grant("bad-wait", header_line("x-lease-wait", wait));
    EXPECT_EQ(refused.status, 400) << wait;
    EXPECT_THAT(refused.body, HasSubstr("x-lease-wait: ")) << wait;
  }
}

// A client that let the server draw its id can't be recognized when it comes back.
TYPED_TEST(LeaseExtras, AnEntryIsKeptForAChosenIdOnly) {
  auto refused = this->grant("nobody", "x-lease-wait: 5s\r\nx-lease-keep-place: 5s\r\n");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("x-lease-keep-place: needs x-lease-id"));
  EXPECT_EQ(this->grant("nobody", "x-lease-keep-place: 11s\r\n").status, 400);
  EXPECT_EQ(this->grant("nobody", "x-lease-keep-place: 0s\r\n").status, 201);
}

TYPED_TEST(LeaseExtras, TheNewerOfTwoRequestsOfOneIdCounts) {
  auto held = this->grant("twice");
  std::string id = fresh_id();
  const std::string body = R"({"key":"twice","value":"v"})";
  auto waiting = [&](const std::string& with_id) {
    return Asking(this->server(), "/lease", body, "x-lease-wait: 60s\r\n" + with_id);
  };
  Asking older = waiting(header_line("x-lease-id", id));
  EXPECT_TRUE(older.is_silent(300));
  Asking other = waiting("");
  EXPECT_TRUE(other.is_silent(300));
  Asking newer = waiting(header_line("x-lease-id", id));
  auto told = older.answer();
  EXPECT_EQ(told.status, 409);
  EXPECT_EQ(told.body, "A newer request of this lease id waits for the key");
  ASSERT_EQ(this->post("/release", held.body).status, 200);
  auto granted = newer.answer();
  EXPECT_EQ(granted.status, 201) << "it has the place of the older";
  EXPECT_EQ(granted.body, id);
  EXPECT_TRUE(other.is_silent());
  EXPECT_EQ(this->with_id("twice", id).body, id) << "who asks again renews";
  ASSERT_EQ(this->post("/release", id).status, 200);
  EXPECT_EQ(other.answer().status, 201);
}

TYPED_TEST(LeaseExtras, AClientThatDisconnectsAndReadsOnIsToldSo) {
  auto held = this->grant("hung-up");
  ASSERT_EQ(held.status, 201);
  Asking waiting(this->server(), "/lease", R"({"key":"hung-up"})", "x-lease-wait: 60s\r\n");
  EXPECT_TRUE(waiting.is_silent());
  waiting.disconnect();
  auto told = waiting.answer();
  EXPECT_EQ(told.status, 400);
  EXPECT_THAT(told.body, HasSubstr("left the line"));
}

TYPED_TEST(LeaseExtras, AClientThatDisconnectsAtTheInstantOfTheGrantLeavesNoHolding) {
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    auto held = this->grant("ghost");
    ASSERT_EQ(held.status, 201);
    TestClient client = this->server().connect();
    client.send(
        "POST /lease HTTP/1.1\r\nHost: h\r\nx-lease-wait: 30s\r\nContent-Length: 15\r\n\r\n{\"key\":\"ghost\"}");
    std::jthread releasing([&] { this->server().ask("POST", "/release", held.body); });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 1500));  // real time: the moments are drawn
    client.finish_sending();
    releasing.join();
    // The client gets the whole answer or nothing; with nothing, the key is free.
    std::string answer = client.read_to_end();
    std::size_t body = answer.find("\r\n\r\n");
    if (body != std::string::npos && answer.find(" 201 ") != std::string::npos) {
      EXPECT_EQ(this->post("/release", answer.substr(body + 4)).status, 200);
    }
    TestResponse next;
    ASSERT_TRUE(eventually([&] {
      next = this->grant("ghost");
      return next.status == 201;
    }));
    ASSERT_EQ(this->post("/release", next.body).status, 200);
  }
}

TYPED_TEST(LeaseExtras, AdministratorsFreeAKey) {
  ASSERT_EQ(this->grant("forced").status, 201);
  EXPECT_EQ(this->ask("DELETE", "/lease?key=forced").status, 403);
  EXPECT_EQ(this->ask("DELETE", "/lease?key=forced", "", "X-Admin-Token: an-admin-token-of-some-lengtH\r\n").status,
            403);
  EXPECT_EQ(this->ask("DELETE", "/lease?key=forced", "", kAdmin + "X-Reason: stuck\r\n").status, 200);
  EXPECT_EQ(this->ask("DELETE", "/lease?key=forced", "", kAdmin).status, 404);
  EXPECT_EQ(this->ask("DELETE", "/lease", "", kAdmin).status, 400);
  EXPECT_TRUE(this->server().says(
      R"("msg":"force release","what":"lease forced","owner":"v","released":"yes","client":"127.0.0.1","reason":"stuck")"));
  EXPECT_EQ(this->grant("forced").status, 201);
}

TYPED_TEST(LeaseExtras, AdministratorsFreeALock) {
  const std::string lock = "/v1/space/lock/forced";
  const std::string body = R"({"instanceId":"instance-1","leaseDuration":60})";
  ASSERT_EQ(this->post(lock + "/acquire", body).status, 200);
  auto refused = this->ask("DELETE", lock);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.body, R"({"message":"For administrators only"})");
  auto freed = this->ask("DELETE", lock, "", kAdmin + "X-Reason: the host is gone\r\n");
  EXPECT_EQ(freed.status, 200);
  EXPECT_EQ(freed.body, R"({"success":true,"namespace":"space","lockName":"forced"})");
  EXPECT_TRUE(this->server().says(
      R"("what":"lock space:forced","owner":"anonymous","released":"yes","client":"127.0.0.1","reason":"the host is gone")"));
  EXPECT_EQ(this->post(lock + "/renew", body).status, 423) << "it is lost";
  EXPECT_EQ(this->ask("DELETE", "/v1/space/lock/x", "", kAdmin).status, 400);
  EXPECT_EQ(this->ask("DELETE", "/v1/space/lock/x").status, 403) << "who is nobody learns nothing";
}

TYPED_TEST(LeaseExtras, VerifyTellsWhetherATokenIsThePresentOne) {
  const std::string lock = "/v1/space/lock/verified";
  auto verify = [&](const std::string& body) { return this->post(lock + "/verify", body); };
  EXPECT_EQ(verify(R"({"fencingToken":7})").body, R"({"valid":false,"current":0})");
  auto held = this->post(lock + "/acquire", R"({"instanceId":"instance-1","leaseDuration":60})");
  std::string token = *held.header("X-Fencing-Token");
  EXPECT_EQ(verify("{\"fencingToken\":" + token + "}").body, "{\"valid\":true,\"current\":" + token + "}");
  EXPECT_EQ(verify(R"({"fencingToken":7})").body, "{\"valid\":false,\"current\":" + token + "}");
  EXPECT_EQ(verify("{}").body,
            R"({"message":"JSON validation failed","details":["$: required property 'fencingToken' not found"]})");
  EXPECT_EQ(verify(R"({"fencingToken":"7"})").status, 400);
  EXPECT_EQ(verify(R"({"fencingToken":7,"instanceId":"instance-1"})").status, 400);
}

TEST(LeaseExtrasWithoutAToken, NoCallerIsAnAdministrator) {
  ServerProcess server({.environment = ServerProcess::open_memory()});
  for (const auto* token : {"", "X-Admin-Token: \r\n", "X-Admin-Token: x\r\n"}) {
    EXPECT_EQ(server.ask("DELETE", "/lease?key=k", "", token).status, 403) << token;
    EXPECT_EQ(server.ask("DELETE", "/v1/space/lock/name", "", token).status, 403) << token;
  }
  EXPECT_EQ(server.stop(), 0) << server.err();
}

}  // namespace
}  // namespace sharedlock::test
