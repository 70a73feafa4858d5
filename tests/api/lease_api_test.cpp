#include <algorithm>
#include <set>

#include "api/api_test.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

std::string lease_of(const std::string& key) {
  return R"({"key":")" + key + R"("})";
}

class LeaseApi : public OnServer<OpenMemory> {
 protected:
  TestResponse grant(const std::string& key, const std::string& ttl = "60s") {
    return post("/lease", lease_of(key), header_line("x-lease-ttl", ttl));
  }
};

TEST_F(LeaseApi, AGrantIsTheLeaseIdAndNothingElse) {
  auto granted = post("/lease", R"({"key":"plain","value":"v","labels":{"a":"b"},"timestamp":"2024-01-01T00:00:00Z"})",
                      header_line("x-lease-ttl", "60s"));
  EXPECT_EQ(granted.status, 201);
  EXPECT_EQ(granted.reason, "Created");
  EXPECT_THAT(granted.body, MatchesRegex("[1-9][0-9]*"));
  EXPECT_GT(std::stoll(granted.body), 0) << "an int64";
  EXPECT_EQ(granted.header("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(granted.header("x-lease-ttl"), "60");
  EXPECT_GT(number_in(granted.header("x-fencing-token")), 0);
}

TEST_F(LeaseApi, AKeyHeldByAnotherIs202WithoutABody) {
  auto granted = grant("taken");
  auto refused = grant("taken");
  EXPECT_EQ(refused.status, 202);
  EXPECT_EQ(refused.reason, "Accepted");
  EXPECT_EQ(refused.body, "");
  EXPECT_EQ(refused.header("Content-Length"), "0");
  EXPECT_EQ(refused.header("x-fencing-token"), std::nullopt);
  for (const auto& [name, value] : refused.headers) {
    EXPECT_THAT(value, Not(HasSubstr(granted.body))) << name << " shows the holder's lease id";
  }
}

TEST_F(LeaseApi, WithoutATtlItIsTenSeconds) {
  EXPECT_EQ(post("/lease", lease_of("default-ttl")).header("x-lease-ttl"), "10");
  EXPECT_EQ(grant("empty-ttl", "").header("x-lease-ttl"), "10");
  EXPECT_EQ(grant("blank-ttl", "   ").header("x-lease-ttl"), "10");
}

TEST_F(LeaseApi, TtlsAreGoDurationsRoundedUp) {
  struct Row {
    std::string ttl;
    std::string granted;
  };
  for (const auto& [ttl, granted] :
       {Row{"60s", "60"}, Row{"1m30s", "90"}, Row{"1.5h", "5400"}, Row{"300ms", "1"}, Row{"1.2s", "2"},
        Row{"24h", "86400"}, Row{" 60s ", "60"} /* white space is not part of a header's value */}) {
    auto response = grant("ttl-" + ttl, ttl);
    EXPECT_EQ(response.status, 201) << ttl;
    EXPECT_EQ(response.header("x-lease-ttl"), granted) << ttl;
  }
}

TEST_F(LeaseApi, BadTtlsAre400WithAGoodOne) {
  for (const char* ttl : {"60", "-1s", "0", "0s", "99999999999999999999s", "1h30", "\u221e", "24h1s", "1d", "sixty"}) {
    auto response = grant("bad-ttl", ttl);
    EXPECT_EQ(response.status, 400) << ttl;
    EXPECT_THAT(response.body, MatchesRegex(".*(60s|24h).*")) << ttl;
    EXPECT_EQ(response.header("Content-Type"), "text/plain; charset=utf-8") << ttl;
  }
  EXPECT_EQ(grant("bad-ttl").status, 201) << "none of them took the key";
}

TEST_F(LeaseApi, BodiesThatCantBeReadAre400AndSayWhere) {
  struct Row {
    std::string body;
    std::string why;
  };
  for (const auto& [body, why] :
       {Row{"", "body is not JSON at byte 1: ''"}, Row{"12345", "integer found, object expected"},
        Row{"[]", "array found, object expected"}, Row{R"({"value":"v"})", "key: a non-empty string expected"},
        Row{R"({"key":""})", "key: a non-empty string expected"},
        Row{R"({"key":5})", "key: integer found, string expected"},
        Row{lease_of(std::string(1025, 'k')), "key: longer than 1024 bytes"},
        Row{R"({"key":"k","labels":{"a":1}})", "labels: a map of strings expected"},
        Row{"{\"key\":\"k\"", "body is not JSON at byte 11: ''"}}) {
    auto response = post("/lease", body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_EQ(response.body, "Failed to unmarshal request body: " + why);
    EXPECT_EQ(response.header("Content-Type"), "text/plain; charset=utf-8");
  }
}

TEST_F(LeaseApi, KeysAreBytesAndLookLikeNothingElse) {
  for (const std::string& key : {std::string("a/b//c/"), std::string("../../locks/x:y"), std::string("/"),
                                 std::string("\xF0\x9F\x94\x92"), std::string(R"(a\u0000b)"), std::string("a"),
                                 std::string(R"(a\u0000)"), std::string("A"), std::string(1024, 'k')}) {
    EXPECT_EQ(grant(key).status, 201) << key;
    EXPECT_EQ(grant(key).status, 202) << key;
  }
}

TEST_F(LeaseApi, MembersMatchAsInGo) {
  EXPECT_EQ(post("/lease", R"({"KEY":"go-1","other":{"key":3}})").status, 201);
  EXPECT_EQ(post("/lease", R"({"key":"x","Key":"go-1"})").status, 202) << "the last one counts";
  EXPECT_EQ(post("/lease", R"({"key":"go-1","value":null})", "Content-Type: nonsense\r\n").status, 202);
}

TEST_F(LeaseApi, FencingTokensGrowAndLeaseIdsDiffer) {
  std::int64_t token = 0;
  std::set<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    auto granted = grant("token-" + std::to_string(i));
    std::int64_t next = number_in(granted.header("x-fencing-token"));
    EXPECT_GT(next, token);
    EXPECT_LT(next, std::int64_t{1} << 53) << "exact in every JSON reader";
    token = next;
    ids.insert(granted.body);
  }
  EXPECT_EQ(ids.size(), 20U);
}

TEST_F(LeaseApi, KeepaliveOfALeaseIs200WithItsTtl) {
  std::string id = grant("alive", "1m30s").body;
  for (const std::string& body : {id, "\r\n" + id + "\r\n", " \t" + id + " ", "+" + id, "000" + id}) {
    auto renewed = post("/keepalive", body);
    EXPECT_EQ(renewed.status, 200);
    EXPECT_EQ(renewed.body, "");
    EXPECT_EQ(renewed.header("x-lease-ttl"), "90");
  }
}

TEST_F(LeaseApi, KeepaliveOfNoLeaseIs204) {
  for (const char* id : {"12345", "0", "-1", "9223372036854775807", "-9223372036854775808"}) {
    auto lost = post("/keepalive", id);
    EXPECT_EQ(lost.status, 204) << id;
    EXPECT_EQ(lost.body, "");
    EXPECT_EQ(lost.header("Content-Length"), std::nullopt);
    EXPECT_EQ(lost.header("x-lease-ttl"), std::nullopt);
  }
}

TEST_F(LeaseApi, KeepaliveOfNoNumberIs500) {
  for (const char* id : {"", "abc", "9223372036854775808", "12 34", "1.0", "\"12\"", R"({"id":12})", "+-5"}) {
    auto response = post("/keepalive", id);
    EXPECT_EQ(response.status, 500) << id;
    EXPECT_EQ(response.body, "Failed to parse lease id") << id;
    EXPECT_EQ(response.header("Content-Type"), "text/plain; charset=utf-8");
  }
}

TEST_F(LeaseApi, ABodyThatIsCutOffIs400) {
  for (const char* path : {"/keepalive", "/lease"}) {
    TestClient client = server().connect();
    client.send(std::string("POST ") + path + " HTTP/1.1\r\nHost: test\r\nContent-Length: 20\r\n\r\n12345");
    client.finish_sending();
    EXPECT_EQ(client.read_response().status, 400) << path;
  }
}

TEST_F(LeaseApi, LeasesAndLocksDoNotTouchEachOther) {
  std::string lock_key = "locks/space:both";
  EXPECT_EQ(grant(lock_key).status, 201);
  EXPECT_EQ(grant("../" + lock_key).status, 201);
  auto acquired = post("/v1/space/lock/both/acquire", R"({"instanceId":"instance-1","leaseDuration":60})");
  EXPECT_EQ(acquired.status, 200) << "no lease is a lock";
  EXPECT_EQ(grant("space:both").status, 201) << "no lock is a lease";
}

TEST_F(LeaseApi, TimingSensitive_ALeaseThatIsNotRenewedExpires) {
  auto first = grant("expires", "1s");
  ASSERT_EQ(first.status, 201) << first.body;
  std::int64_t token = number_in(first.header("x-fencing-token"));
  auto begin = std::chrono::steady_clock::now();
  TestResponse next;
  ASSERT_TRUE(eventually([&] {
    next = grant("expires");
    return next.status == 201;
  }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(900)) << "not before its second";
  EXPECT_GT(number_in(next.header("x-fencing-token")), token);
  EXPECT_EQ(post("/keepalive", first.body).status, 204) << "the old lease stays lost";
  EXPECT_EQ(post("/keepalive", next.body).status, 200);
}

TEST_F(LeaseApi, TimingSensitive_AKeptAliveLeaseOutlivesItsTtl) {
  std::string kept = grant("kept", "2s").body;
  std::string left = grant("left", "2s").body;
  ASSERT_TRUE(eventually([&] {
    EXPECT_EQ(post("/keepalive", kept).status, 200);
    EXPECT_EQ(grant("kept").status, 202);
    return grant("left").status == 201;
  }));
  EXPECT_EQ(post("/keepalive", left).status, 204);
  EXPECT_EQ(post("/keepalive", kept).status, 200);
}

struct ShortTtls {
  static Environment environment() { return ServerProcess::open_memory({{"SHARED_LOCK_MAX_LEASE_TTL", "90s"}}); }
};
using LeaseApiWithALargestTtl = OnServer<ShortTtls>;

TEST_F(LeaseApiWithALargestTtl, RefusesMore) {
  EXPECT_EQ(post("/lease", lease_of("a"), "x-lease-ttl: 1m30s\r\n").header("x-lease-ttl"), "90");
  auto refused = post("/lease", lease_of("b"), "x-lease-ttl: 91s\r\n");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("1m30s"));
}

struct ExposedIds {
  static Environment environment() {
    return ServerProcess::open_memory({{"SHARED_LOCK_EXPOSE_HOLDER_LEASE_ID", "true"}});
  }
};
using LeaseApiThatExposesIds = OnServer<ExposedIds>;

TEST_F(LeaseApiThatExposesIds, PutsTheHoldersIntoThe202) {
  std::string id = post("/lease", lease_of("a")).body;
  auto refused = post("/lease", lease_of("a"));
  EXPECT_EQ(refused.status, 202);
  EXPECT_EQ(refused.body, id);
  EXPECT_EQ(refused.header("Content-Type"), "text/plain; charset=utf-8");
}

}  // namespace
}  // namespace sharedlock::test
