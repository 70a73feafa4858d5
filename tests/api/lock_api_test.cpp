#include "api/api_test.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;

std::string asked(const std::string& instance, int duration, const std::string& more = "") {
  return R"({"instanceId":")" + instance + R"(","leaseDuration":)" + std::to_string(duration) + more + "}";
}

std::string released(const std::string& instance, const std::string& more = "") {
  return R"({"instanceId":")" + instance + "\"" + more + "}";
}

std::string with_token(std::int64_t token) {
  return R"(,"fencingToken":)" + std::to_string(token);
}

std::string refusal_of(const std::string& name) {
  return R"({"success":false,"namespace":"space","lockName":")" + name + R"("})";
}

struct Expected {
  std::string name;
  std::string instance;
  std::int64_t duration;
  std::int64_t expiry;
  std::int64_t token;
  std::int64_t ttl;
};

std::string lock_json(const Expected& lock) {
  return R"({"success":true,"namespace":"space","lockName":")" + lock.name + R"(","owner":"anonymous","instanceId":")" +
         lock.instance + R"(","leaseDuration":)" + std::to_string(lock.duration) + R"(,"expiry":)" +
         std::to_string(lock.expiry) + R"(,"fencingToken":)" + std::to_string(lock.token) + R"(,"ttl":)" +
         std::to_string(lock.ttl) + "}";
}

class LockApi : public OnServer<OpenMemory> {
 protected:
  TestResponse call(const std::string& name, const std::string& what, const std::string& body) {
    return post("/v1/space/lock/" + name + "/" + what, body);
  }
  TestResponse acquire(const std::string& name, const std::string& instance, int duration = 60) {
    return call(name, "acquire", asked(instance, duration));
  }
  TestResponse get(const std::string& name) { return ask("GET", "/v1/space/lock/" + name); }

  std::int64_t token_of(const TestResponse& response) { return number_in(response.header("X-Fencing-Token")); }
  std::int64_t member(const TestResponse& response, const char* name) {
    return object_of(response.body).at(name).as_int64();
  }
};

TEST_F(LockApi, AFreeLockIsOnlyItsName) {
  auto response = get("never-held");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"namespace":"space","lockName":"never-held"})");
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  EXPECT_EQ(response.header("X-Fencing-Token"), std::nullopt);
}

TEST_F(LockApi, AcquireAnswersTheWholeLock) {
  std::int64_t before = epoch_now();
  auto response = acquire("acquired", "instance-1", 60);
  std::int64_t after = epoch_now();
  ASSERT_EQ(response.status, 200);
  std::int64_t expiry = member(response, "expiry");
  EXPECT_THAT(expiry, AllOf(Ge(before + 60), Le(after + 60)));
  EXPECT_EQ(response.body, lock_json({"acquired", "instance-1", 60, expiry, token_of(response), 60}));
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  EXPECT_EQ(response.header("X-Lock-Ttl"), "60");

  auto seen = get("acquired");
  EXPECT_EQ(seen.body, R"({"namespace":"space","lockName":"acquired","owner":"anonymous","expiry":)" +
                           std::to_string(expiry) + with_token(token_of(response)) + R"(,"waiters":0})");
  EXPECT_EQ(token_of(seen), token_of(response));
}

TEST_F(LockApi, AHeldLockIs423ForOthers) {
  auto mine = acquire("held", "instance-1");
  for (const char* what : {"acquire", "renew"}) {
    auto refused = call("held", what, asked("instance-2", 60));
    EXPECT_EQ(refused.status, 423) << what;
    EXPECT_EQ(refused.reason, "Locked");
    EXPECT_THAT(refused.body, testing::StartsWith(R"({"success":false,"namespace":"space","lockName":"held")"));
    EXPECT_THAT(refused.body, Not(HasSubstr("instance-1"))) << "a pseudo-secret";
    EXPECT_EQ(refused.header("Content-Type"), "application/json");
    EXPECT_EQ(refused.header("X-Fencing-Token"), std::nullopt);
  }
  auto refused = call("held", "release", released("instance-2"));
  EXPECT_EQ(refused.status, 423);
  EXPECT_EQ(refused.body, refusal_of("held"));
  EXPECT_EQ(token_of(get("held")), token_of(mine)) << "nothing changed";
}

TEST_F(LockApi, ReleaseFreesItForTheNextWithAHigherToken) {
  auto first = acquire("handed-over", "instance-1");
  auto release = call("handed-over", "release", released("instance-1"));
  EXPECT_EQ(release.status, 200);
  EXPECT_EQ(release.body, R"({"success":true,"namespace":"space","lockName":"handed-over"})");
  EXPECT_EQ(get("handed-over").body, R"({"namespace":"space","lockName":"handed-over"})");
  auto second = acquire("handed-over", "instance-2");
  EXPECT_EQ(second.status, 200);
  EXPECT_GT(token_of(second), token_of(first));
}

TEST_F(LockApi, ReleaseOfAFreeLockIs200) {
  EXPECT_EQ(call("free", "release", released("instance-1")).body,
            R"({"success":true,"namespace":"space","lockName":"free"})");
}

TEST_F(LockApi, AcquireByTheSameInstanceBeginsANewHolding) {
  auto first = acquire("again", "instance-1", 600);
  auto second = acquire("again", "instance-1", 60);
  ASSERT_EQ(second.status, 200);
  EXPECT_GT(token_of(second), token_of(first));
  EXPECT_EQ(member(second, "leaseDuration"), 60) << "overwritten, not added";
  EXPECT_LT(member(second, "expiry"), member(first, "expiry")) << "from now";
  EXPECT_EQ(call("again", "renew", asked("instance-1", 60, with_token(token_of(first)))).status, 423)
      << "the first holding has ended";
}

TEST_F(LockApi, RenewExtendsFromTheOldExpiryAndSumsUp) {
  auto acquired = acquire("renewed", "instance-1", 100);
  std::int64_t expiry = member(acquired, "expiry");
  for (int i = 1; i <= 3; ++i) {
    auto renewed = call("renewed", "renew", asked("instance-1", 50));
    ASSERT_EQ(renewed.status, 200);
    std::int64_t ttl = member(renewed, "ttl");
    EXPECT_EQ(renewed.body,
              lock_json({"renewed", "instance-1", 100 + 50 * i, expiry + 50 * i, token_of(acquired), ttl}));
    EXPECT_THAT(ttl, AllOf(Le(100 + 50 * i), Ge(100 + 50 * i - 30)));
  }
  EXPECT_EQ(token_of(get("renewed")), token_of(acquired)) << "carried through renewals";
}

TEST_F(LockApi, RenewIsClampedToADayFromNow) {
  std::int64_t before = epoch_now();
  auto acquired = acquire("clamped", "instance-1", 86400);
  auto renewed = call("clamped", "renew", asked("instance-1", 86400));
  std::int64_t after = epoch_now();
  std::int64_t expiry = member(renewed, "expiry");
  EXPECT_THAT(expiry, AllOf(Ge(before + 86400), Le(after + 86400)));
  EXPECT_EQ(member(renewed, "leaseDuration"), 86400 + expiry - member(acquired, "expiry")) << "what was really added";
  EXPECT_EQ(member(renewed, "ttl"), 86400);
}

TEST_F(LockApi, RenewFromNowIsLeaseDurationFromNowButNeverEarlier) {
  auto acquired = acquire("heartbeat", "instance-1", 100);
  auto shorter = call("heartbeat", "renew", asked("instance-1", 10, R"(,"from":"now")"));
  EXPECT_EQ(member(shorter, "expiry"), member(acquired, "expiry"));
  EXPECT_EQ(member(shorter, "leaseDuration"), 100);
  std::int64_t before = epoch_now();
  auto longer = call("heartbeat", "renew", asked("instance-1", 200, R"(,"from":"now")"));
  EXPECT_THAT(member(longer, "expiry"), AllOf(Ge(before + 200), Le(epoch_now() + 200)));
  EXPECT_EQ(member(longer, "ttl"), 200);
}

TEST_F(LockApi, RenewOfAFreeLockIs423) {
  auto refused = call("not-held", "renew", asked("instance-1", 60));
  EXPECT_EQ(refused.status, 423);
  EXPECT_EQ(refused.body, refusal_of("not-held"));
  EXPECT_EQ(get("not-held").body, R"({"namespace":"space","lockName":"not-held"})");
}

TEST_F(LockApi, AFencingTokenMustBeThePresentOne) {
  std::int64_t token = token_of(acquire("fenced", "instance-1"));
  for (const char* what : {"renew", "release"}) {
    bool renew = std::string_view(what) == "renew";
    for (std::int64_t other : {token - 1, token + 1}) {
      auto body = renew ? asked("instance-1", 60, with_token(other)) : released("instance-1", with_token(other));
      auto refused = call("fenced", what, body);
      EXPECT_EQ(refused.status, 423) << what;
      EXPECT_EQ(refused.body, refusal_of("fenced"));
    }
  }
  EXPECT_EQ(call("fenced", "renew", asked("instance-1", 60, with_token(token))).status, 200);
  EXPECT_EQ(call("fenced", "release", released("instance-1", with_token(token))).status, 200);
}

TEST_F(LockApi, NamespacesAreApart) {
  EXPECT_EQ(post("/v1/space-a/lock/shared-name/acquire", asked("instance-1", 60)).status, 200);
  EXPECT_EQ(post("/v1/space-b/lock/shared-name/acquire", asked("instance-2", 60)).status, 200);
  EXPECT_EQ(post("/v1/space-a/lock/shared-name/acquire", asked("instance-2", 60)).status, 423);
}

TEST_F(LockApi, PathsAreValidated) {
  std::string longest(64, 'n');
  EXPECT_EQ(get(longest).status, 200);
  struct Row {
    std::string path;
    std::string details;
  };
  std::string namespace_name = "Parameter 'namespace' failed validation: Namespace must be ";
  std::string name = "Parameter 'lockName' failed validation: Lock name must be ";
  std::string length = "between 3 and 64 characters long";
  std::string letters = "alphanumeric with dashes and underscores only";
  for (const auto& [path, details] :
       {Row{"/v1/space/lock/ab", "[\"" + name + length + "\"]"},
        Row{"/v1/space/lock/" + longest + "n", "[\"" + name + length + "\"]"},
        Row{"/v1/ab/lock/abc", "[\"" + namespace_name + length + "\"]"},
        Row{"/v1/space/lock/a.b", "[\"" + name + letters + "\"]"},
        Row{"/v1/sp:ce/lock/abc", "[\"" + namespace_name + letters + "\"]"},
        Row{"/v1/s%20/lock/%C3%A9%C3%A9%C3%A9",
            "[\"" + namespace_name + length + "\",\"" + namespace_name + letters + "\",\"" + name + letters + "\"]"}}) {
    auto response = ask("GET", path);
    EXPECT_EQ(response.status, 400) << path;
    EXPECT_EQ(response.body, R"({"message":"Validation failed","details":)" + details + "}");
    EXPECT_EQ(response.header("Content-Type"), "application/json");
    EXPECT_EQ(post(path + "/acquire", "no body at all").body, response.body) << "the path before the body";
  }
}

TEST_F(LockApi, AllFaultsOfABodyAreListed) {
  struct Row {
    std::string what;
    std::string body;
    std::string details;
  };
  const std::string undefined = "is not defined in the schema and the schema does not allow additional properties";
  for (const auto& [what, body, details] :
       {Row{"acquire", "", R"(["body is not JSON at byte 1: ''"])"},
        Row{"acquire", "'", R"(["body is not JSON at byte 1: '''"])"},
        Row{"acquire", "[]", R"(["$: array found, object expected"])"},
        Row{"acquire", R"({"foo":1,"leaseDuration":"1"})",
            R"(["$.leaseDuration: string found, integer expected","$: property 'foo' )" + undefined +
                R"(","$: required property 'instanceId' not found"])"},
        Row{"acquire", R"({"leaseDuration":0,"instanceId":"!"})",
            R"(["$.instanceId: must be at least 3 characters long",)"
            R"("$.instanceId: does not match the regex pattern ^[a-zA-Z0-9_-]+$",)"
            R"("$.leaseDuration: must have a minimum value of 1"])"},
        Row{"acquire", R"({"instanceId":"instance-1","leaseDuration":30.5})",
            R"(["$.leaseDuration: number found, integer expected"])"},
        Row{"acquire", asked("instance-1", 0), R"(["$.leaseDuration: must have a minimum value of 1"])"},
        Row{"renew", asked("instance-1", 86401), R"(["$.leaseDuration: must have a maximum value of 86400"])"},
        Row{"renew", asked("ab", 1), R"(["$.instanceId: must be at least 3 characters long"])"},
        Row{"acquire", asked(std::string(65, 'a'), 1), R"(["$.instanceId: must be at most 64 characters long"])"},
        Row{"release", released("a b c"), R"(["$.instanceId: does not match the regex pattern ^[a-zA-Z0-9_-]+$"])"},
        Row{"release", asked("instance-1", 1), R"(["$: property 'leaseDuration' )" + undefined + "\"]"},
        Row{"acquire", asked("instance-1", 1, with_token(1)), R"(["$: property 'fencingToken' )" + undefined + "\"]"},
        Row{"acquire", asked("instance-1", 1, R"(,"from":"now")"), R"(["$: property 'from' )" + undefined + "\"]"}}) {
    auto response = call("body-checks", what, body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_EQ(response.body, R"({"message":"JSON validation failed","details":)" + details + "}") << body;
    EXPECT_EQ(response.header("Content-Type"), "application/json");
  }
  EXPECT_EQ(get("body-checks").body, R"({"namespace":"space","lockName":"body-checks"})");
}

TEST_F(LockApi, AWholeNumberMayBeWrittenWithAPointOrAnExponent) {
  for (const char* thirty : {"30.0", "3e1"}) {
    auto response =
        call("whole", "acquire", R"({"instanceId":"instance-1","leaseDuration":)" + std::string(thirty) + "}");
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(member(response, "leaseDuration"), 30);
  }
}

TEST_F(LockApi, TimingSensitive_ALockThatIsNotRenewedExpires) {
  auto first = acquire("expires", "instance-1", 1);
  ASSERT_EQ(first.status, 200) << first.body;
  TestResponse next;
  ASSERT_TRUE(eventually([&] {
    next = acquire("expires", "instance-2");
    return next.status == 200;
  }));
  EXPECT_GE(epoch_now(), member(first, "expiry")) << "not before its time";
  EXPECT_GT(token_of(next), token_of(first));
  EXPECT_EQ(call("expires", "renew", asked("instance-1", 60)).status, 423);
}

}  // namespace
}  // namespace sharedlock::test
