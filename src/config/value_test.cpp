#include "config/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/names.h"

namespace sharedlock::config {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

Settings settings_with(std::string_view flag, std::string_view text) {
  Settings settings;
  EXPECT_EQ(assign(*find_by_flag(flag), text, settings), std::nullopt) << flag << " = " << text;
  return settings;
}

// What is wrong with `text`; the setting must be left as it was.
std::string complaint(std::string_view flag, std::string_view text) {
  const auto& option = *find_by_flag(flag);
  Settings settings;
  const auto wrong = assign(option, text, settings);
  EXPECT_TRUE(wrong) << flag << " = " << text;
  EXPECT_EQ(value_text(option, settings), value_text(option, Settings{}));
  return wrong.value_or("");
}

TEST(Value, Booleans) {
  for (const auto* text : {"true", "TRUE", "True", "1", "yes", "on", "t", "T", "On"}) {
    EXPECT_TRUE(settings_with("debug", text).debug) << text;
  }
  for (const auto* text : {"false", "FALSE", "0", "no", "off", "f"}) {
    EXPECT_FALSE(settings_with("debug", text).debug) << text;
  }
  for (const auto* text : {"2", "y", "truee", "enabled", "tcp://10.0.0.1:8080"}) {
    EXPECT_EQ(complaint("debug", text), "must be true or false") << text;
  }
}

TEST(Value, Ports) {
  EXPECT_EQ(settings_with("port", "9090").server_port, 9090);
  EXPECT_EQ(settings_with("port", "0").server_port, 0);
  EXPECT_EQ(settings_with("port", "65535").server_port, 65535);
  for (const auto* text : {"65536", "-1", "+80", "80a", "0x50", "8 0", "99999999999999999999", ":8080"}) {
    EXPECT_THAT(complaint("port", text), HasSubstr("must be a port number")) << text;
  }
}

TEST(Value, NumbersWithinBounds) {
  EXPECT_EQ(settings_with("cache-size", "1").cache_size, 1u);
  EXPECT_EQ(settings_with("max-retries", "0").max_retries, 0u);
  EXPECT_EQ(settings_with("token-base", "4503599627370496").token_base, std::uint64_t{1} << 52);
  EXPECT_EQ(complaint("cache-size", "0"), "must be a whole number, 1 to 100000000");
  EXPECT_EQ(complaint("threads", "1025"), "must be a whole number, 0 to 1024");
  complaint("token-base", "4503599627370497");
  for (const auto* text : {"1.5", "-3", "three", "1e3", "3s"}) complaint("max-retries", text);
}

TEST(Value, Durations) {
  EXPECT_EQ(settings_with("read-timeout", "1m30s").server_read_timeout, 90s);
  EXPECT_EQ(settings_with("read-timeout", "500ms").server_read_timeout, 500ms);
  EXPECT_EQ(settings_with("read-timeout", "15").server_read_timeout, 15s);
  EXPECT_EQ(settings_with("read-timeout", "0").server_read_timeout, 0s);
  EXPECT_EQ(settings_with("read-timeout", "0s").server_read_timeout, 0s);
  for (const auto* text : {"-5s", "-1", "10 s", "ten", "1d", "1.5", "9223372037", "99999999999999999999"}) {
    EXPECT_THAT(complaint("read-timeout", text), HasSubstr("must be a duration such as 10s")) << text;
  }
}

TEST(Value, Milliseconds) {
  EXPECT_EQ(settings_with("etcd-request-timeout-ms", "1").etcd_request_timeout, 1ms);
  EXPECT_EQ(settings_with("etcd-request-timeout-ms", "10000").etcd_request_timeout, 10s);
  for (const auto* text : {"0", "-1", "5s", "1.5", "2147483648"}) {
    EXPECT_THAT(complaint("etcd-request-timeout-ms", text), HasSubstr("milliseconds, 1 to 2147483647")) << text;
  }
}

TEST(Value, TheLargestLeaseTtl) {
  EXPECT_EQ(settings_with("max-lease-ttl", "48h").max_lease_ttl, 48h);
  EXPECT_EQ(settings_with("max-lease-ttl", "1s").max_lease_ttl, 1s);
  EXPECT_EQ(settings_with("max-lease-ttl", "3600").max_lease_ttl, 1h);
  EXPECT_EQ(settings_with("max-lease-ttl", "9000000000").max_lease_ttl, 9'000'000'000s);
  EXPECT_EQ(settings_with("max-lease-ttl", "2500000h").max_lease_ttl, 9'000'000'000s);
  for (const auto* text : {"0", "999ms", "1.5s", "9000000001s", "9000000001", "-1h", "99999999999h", "never"}) {
    EXPECT_THAT(complaint("max-lease-ttl", text), HasSubstr("whole seconds")) << text;
  }
}

TEST(Value, Origins) {
  EXPECT_THAT(settings_with("allowed-origins", "https://a.example, http://b:81,https://[::1]:8443").allowed_origins,
              ElementsAre("https://a.example", "http://b:81", "https://[::1]:8443"));
  for (const auto* text : {"a.example", "https://", "https://a/", "https://a/b", "https://a:0", "null", "*"}) {
    EXPECT_THAT(complaint("allowed-origins", text), HasSubstr("must be an origin")) << text;
  }
}

TEST(Value, Enums) {
  EXPECT_EQ(settings_with("storage", "embedded").storage_type, StorageType::embedded);
  EXPECT_EQ(settings_with("storage", "memory").storage_type, StorageType::memory);
  EXPECT_EQ(settings_with("storage", "mock").storage_type, StorageType::memory);
  EXPECT_EQ(settings_with("storage", "ETCD").storage_type, StorageType::etcd);
  EXPECT_EQ(settings_with("log", "info").log_level, LogLevel::info);
  EXPECT_EQ(settings_with("etcd-leases", "own").etcd_leases, EtcdLeaseKind::own);
  EXPECT_EQ(settings_with("etcd-leases", "shared").etcd_leases, EtcdLeaseKind::shared);
  EXPECT_EQ(settings_with("lease-authentication", "off").lease_authentication, LeaseAuthentication::off);
  EXPECT_EQ(complaint("storage", "redis"), "must be etcd, embedded, memory or mock");
  EXPECT_EQ(complaint("log", "trace"), "must be debug, info, warn or error");
  EXPECT_EQ(complaint("lease-authentication", "false"), "must be inherit or off");
}

TEST(Value, Lists) {
  EXPECT_THAT(settings_with("etcd-endpoints", "http://a:1, http://b:2 ,c:3,").etcd_endpoints,
              ElementsAre("http://a:1", "http://b:2", "c:3"));
  EXPECT_THAT(settings_with("admin-subjects", "alice").admin_subjects, ElementsAre("alice"));
  EXPECT_THAT(complaint("etcd-endpoints", " , ,"), HasSubstr("at least one item"));
  EXPECT_EQ(complaint("etcd-endpoints", "http://a:1,,ftp://b"),
            "must be a comma-separated list, and each item must be an endpoint with a port, such as "
            "http://etcd-1:2379; item 2 is not");
}

TEST(Value, TextsHaveNoControlCharacters) {
  EXPECT_EQ(settings_with("etcd-password", "p \u00e4 $'\"\\").etcd_password, "p \u00e4 $'\"\\");
  complaint("etcd-password", "two\nlines");
  complaint("data-dir", std::string_view("a\0b", 3));
  complaint("etcd-ca-cert", "a\tb");
}

TEST(Value, PemPathsKnowThatTheyWereSet) {
  EXPECT_FALSE(Settings{}.etcd_ca_cert.was_set);
  EXPECT_EQ(settings_with("etcd-ca-cert", "/no/such").etcd_ca_cert, (PemPath{.path = "/no/such", .was_set = true}));
}

TEST(Value, ShownWithoutSecrets) {
  const auto settings = settings_with("admin-token", "hunter2");
  const auto& token = *find_by_flag("admin-token");
  EXPECT_EQ(shown_value(token, settings), "(secret)");
  EXPECT_EQ(shown_value(token, Settings{}), "(none)");
  EXPECT_EQ(shown_value(*find_by_flag("max-lease-ttl"), Settings{}), "24h");
  EXPECT_EQ(shown_value(*find_by_flag("idle-timeout"), Settings{}), "2m");
  EXPECT_EQ(shown_value(*find_by_flag("drain-delay"), Settings{}), "0s");
  EXPECT_EQ(shown_value(*find_by_flag("etcd-endpoints"), settings_with("etcd-endpoints", "a:1, b:2")), "a:1,b:2");
}

TEST(Value, WordsForHelp) {
  EXPECT_EQ(value_word(*find_by_flag("port")), "PORT");
  EXPECT_EQ(value_word(*find_by_flag("storage")), "etcd|embedded|memory|mock");
  EXPECT_EQ(value_word(*find_by_flag("debug")), "true|false");
  EXPECT_TRUE(is_switch(*find_by_flag("debug")));
  EXPECT_FALSE(is_switch(*find_by_flag("port")));
}

struct CheckCase {
  std::string_view flag;
  std::vector<std::string_view> good;
  std::vector<std::string_view> bad;
};

TEST(Checks, KnowGoodFromBad) {
  const CheckCase cases[] = {
      {"address", {"127.0.0.1", "0.0.0.0", "::", "::1"}, {"localhost", "127.0.0.1:80", "[::1]", "300.1.1.1"}},
      {"trusted-proxies",
       {"10.0.0.0/8", "192.168.1.7", "fd00::/8", "::1", "10.0.0.1,10.0.0.2"},
       {"10.0.0.0/33", "proxy", "10.0.0.0/", "fd00::/129"}},
      {"etcd-endpoints",
       {"http://etcd-1:2379", "https://10.0.0.1:2379/", "etcd:2379", "http://[::1]:2379"},
       {"http://etcd", "etcd", "http://:2379", "http://etcd:0", "http://etcd:65536", "http://etcd:2379/v3",
        "http://user@etcd:2379", "unix:///etcd:1", "http://::1:2379", "http://etcd 1:2379"}},
      {"jwt-jwks",
       {"https://id.example.com/jwks.json", "http://localhost:9000"},
       {"id.example.com/jwks", "ftp://x", "https://", "https:///jwks", "https://a b"}},
      {"key-prefix",
       {"locks/", "myapp/locks/", "/locks", "x", "shared-lock"},
       {"/", "/shared", "/shared-lock", "/shared-lock/", "/shared-lock/locks/", "/shared-lock.queue/", "\xff"}},
      {"admin-claim", {"admin", "role=lock-admin", "https://example.com/role=a=b"}, {"=admin", "="}},
      {"admin-token", {"s3cret~!"}, {"two words", "p\u00e4ss"}},
  };
  for (const auto& [flag, good, bad] : cases) {
    for (const auto text : good) settings_with(flag, text);
    for (const auto text : bad) EXPECT_THAT(complaint(flag, text), HasSubstr("must be ")) << text;
  }
}

}  // namespace
}  // namespace sharedlock::config
