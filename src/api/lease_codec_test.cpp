#include "api/lease_codec.h"

#include <gtest/gtest.h>

#include <optional>

namespace sharedlock {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr char kGoodDurations[] = "a positive duration with a unit expected, such as 60s, 1m30s or 1.5h";
constexpr char kTooLong[] = "longer than the longest allowed here, 24h0m0s";

LeaseBody good(const std::string& body) {
  auto lease = parse_lease_body(body);
  if (!lease) throw std::runtime_error(body + ": " + lease.error().message);
  return *lease;
}

std::string fault_of(const std::string& body) {
  auto lease = parse_lease_body(body);
  if (lease) return "none";
  EXPECT_EQ(lease.error().code, Errc::invalid_argument);
  return lease.error().message;
}

TEST(LeaseBody, ReadsAllMembers) {
  LeaseBody lease =
      good(R"({"key":"k","value":"v","labels":{"a":"b","n":null},"timestamp":"2024-05-06T07:08:09.123456789+02:00"})");
  EXPECT_EQ(lease.key, "k");
  EXPECT_EQ(lease.value, "v");
  EXPECT_EQ(lease.labels, R"({"a":"b"})");
  EXPECT_EQ(lease.timestamp, "2024-05-06T07:08:09.123456789+02:00");
}

TEST(LeaseBody, MissingMembersAreEmpty) {
  LeaseBody lease = good(R"({"key":"k"})");
  EXPECT_EQ(lease.value, "");
  EXPECT_EQ(lease.labels, "");
  EXPECT_EQ(lease.timestamp, "");
}

TEST(LeaseBody, TheLastOfRepeatedLabelsCounts) {
  EXPECT_EQ(good(R"({"key":"k","labels":{"x":"y","z":1},"labels":{"a":"b"}})").labels, R"({"a":"b"})");
  EXPECT_EQ(good(R"({"key":"k","labels":{"x":"y"},"labels":{"a":"b"}})").labels, R"({"a":"b"})");
}

struct KeyCase {
  std::string body;
  std::string key;
};

std::string with_key(const std::string& key) {
  return R"({"key":")" + key + R"("})";
}

TEST(LeaseBody, KeysAreReadAsGoReadsThem) {
  const KeyCase cases[] = {{R"({"KEY":"k"})", "k"},
                           {R"({"kEy":"k","vAlUe":"v","Labels":{}})", "k"},
                           {R"({"key":"a","Key":"b"})", "b"},
                           {R"({"key":"a","key":"b"})", "b"},
                           {R"({"key":"a","key":null})", "a"},
                           {R"({"key":null,"KEY":"a"})", "a"},
                           {R"({"key":"k","value":null,"labels":null,"timestamp":null})", "k"},
                           {R"({"key":"k","other":{"key":1},"keys":[2],"key ":3})", "k"},
                           {" \r\n\t{\"key\" : \"k\"}\n", "k"},
                           {with_key(" k "), " k "},
                           {with_key("../../etc/passwd"), "../../etc/passwd"},
                           {with_key("/"), "/"},
                           {with_key("a//b/"), "a//b/"},
                           {with_key(R"(a\u0000b)"), "a\0b"s},
                           {with_key(R"(\u0000)"), "\0"s},
                           {with_key("\xF0\x9F\x94\x92"), "\xF0\x9F\x94\x92"},
                           {with_key(R"(\ud83d\udd12)"), "\xF0\x9F\x94\x92"},
                           {with_key(R"(\n\"\\)"), "\n\"\\"},
                           {with_key(std::string(1024, 'k')), std::string(1024, 'k')}};
  for (const KeyCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_EQ(good(given.body).key, given.key);
  }
}

TEST(LeaseBody, TheLimitOfAKeyIsInBytes) {
  std::string lock = "\xF0\x9F\x94\x92";  // one character, four bytes
  std::string key;
  for (int i = 0; i < 256; ++i) key += lock;
  EXPECT_EQ(good(with_key(key)).key.size(), 1024U);
  EXPECT_EQ(fault_of(with_key(key + "a")), "key: longer than 1024 bytes");
}

struct FaultCase {
  std::string body;
  std::string message;
};

TEST(LeaseBody, FaultsSayWhatIsWrong) {
  const FaultCase cases[] = {{"", "body is not JSON at byte 1: ''"},
                             {"{'key'}", "body is not JSON at byte 2: ''key'}'"},
                             {R"({"key":"k"}})", "body is not JSON at byte 12: '}'"},
                             {"[]", "array found, object expected"},
                             {R"("key")", "string found, object expected"},
                             {"12345", "integer found, object expected"},
                             {"1.5", "number found, object expected"},
                             {"null", "null found, object expected"},
                             {"true", "boolean found, object expected"},
                             {"{}", "key: a non-empty string expected"},
                             {R"({"key":""})", "key: a non-empty string expected"},
                             {R"({"key":null})", "key: a non-empty string expected"},
                             {R"({"key":"a","key":""})", "key: a non-empty string expected"},
                             {R"({"keys":"k"})", "key: a non-empty string expected"},
                             {R"({"key":1})", "key: integer found, string expected"},
                             {R"({"key":1e400})", "key: number found, string expected"},
                             {R"({"key":"a","Key":true})", "key: boolean found, string expected"},
                             {R"({"key":["a"]})", "key: array found, string expected"},
                             {R"({"key":{"a":"b"}})", "key: object found, string expected"},
                             {with_key(std::string(1025, 'k')), "key: longer than 1024 bytes"},
                             {R"({"key":"k","value":5})", "value: integer found, string expected"},
                             {R"({"key":"k","labels":"x"})", "labels: a map of strings expected"},
                             {R"({"key":"k","labels":{"a":1}})", "labels: a map of strings expected"},
                             {R"({"key":"k","labels":[]})", "labels: a map of strings expected"},
                             {R"({"key":"k","timestamp":1})", "timestamp: integer found, string expected"},
                             {R"({"key":"k","timestamp":"now"})", "timestamp: not a time in the form of RFC 3339"},
                             {R"({"key":1,"value":2,"labels":3})", "key: integer found, string expected"}};
  for (const FaultCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_EQ(fault_of(given.body), given.message);
  }
}

TEST(LeaseBody, ALoneSurrogateOrInvalidBytesAreNotAKey) {
  for (const char* key : {R"(\ud800)", R"(\udfff)", "\xFF", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80"}) {
    EXPECT_TRUE(fault_of(with_key(key)).starts_with("body is not JSON at byte ")) << key;
  }
}

struct TimeCase {
  std::string text;
  bool ok;
};

TEST(LeaseBody, TimestampsAreRfc3339) {
  const TimeCase cases[] = {{"2024-02-29T00:00:00Z", true},        {"2024-01-01t23:59:59z", true},
                            {"2024-01-01T00:00:00.5-07:30", true}, {"0001-01-01T00:00:00Z", true},
                            {"2016-12-31T23:59:60Z", true},        {"2023-02-29T00:00:00Z", false},
                            {"2024-13-01T00:00:00Z", false},       {"2024-00-01T00:00:00Z", false},
                            {"2024-01-32T00:00:00Z", false},       {"2024-01-01T24:00:00Z", false},
                            {"2024-01-01T00:60:00Z", false},       {"2024-01-01T00:00:00", false},
                            {"2024-01-01 00:00:00Z", false},       {"2024-01-01T00:00Z", false},
                            {"2024-01-01T00:00:00.Z", false},      {"2024-01-01T00:00:00+2:00", false},
                            {"2024-01-01T00:00:00+02:00x", false}, {"2024-01-01T00:00:00Zx", false},
                            {"2024-1-01T00:00:00Z", false},        {"-024-01-01T00:00:00Z", false},
                            {"2024-01-01T-1:00:00Z", false},       {"1714979289", false}};
  for (const TimeCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.text));
    std::string body = R"({"key":"k","timestamp":")" + given.text + R"("})";
    EXPECT_EQ(fault_of(body), given.ok ? "none" : "timestamp: not a time in the form of RFC 3339");
  }
}

struct TtlCase {
  std::string text;
  std::optional<Ttl> ttl;
  std::string message;
};

TtlCase yes(std::string text, Ttl ttl) {
  return {std::move(text), ttl, {}};
}
TtlCase no(std::string text, std::string message = kGoodDurations) {
  return {std::move(text), std::nullopt, std::move(message)};
}

TEST(LeaseTtl, IsAGoDurationUpToTheLargest) {
  const TtlCase cases[] = {yes("60s", 60s),
                           yes("1m30s", 90s),
                           yes("1.5h", 5400s),
                           yes("+5s", 5s),
                           yes("300ms", 1s),
                           yes("1ns", 1s),
                           yes("1s", 1s),
                           yes("1.2s", 2s),
                           yes("1s1ns", 2s),
                           yes("999.000001ms", 1s),
                           yes("24h", 86400s),
                           yes("86400s", 86400s),
                           yes("2000000\u00b5s", 2s),
                           no("24h1ns", kTooLong),
                           no("25h", kTooLong),
                           no("9000000001s", kTooLong),
                           no("-1s"),
                           no("-300ms"),
                           no("0"),
                           no("0s"),
                           no("0h0m0s"),
                           no("99999999999999999999s"),
                           no("1h30"),
                           no("\u221e"),
                           no("60"),
                           no(""),
                           no(" 60s"),
                           no("60s "),
                           no("60 s"),
                           no("60S"),
                           no("1d"),
                           no("s"),
                           no("."),
                           no(".s"),
                           no("1,5h"),
                           no("60s\0"s),
                           no("sixty"),
                           no("1e3s"),
                           no("0x10s"),
                           no("1s-1s"),
                           no("--1s"),
                           no("+"),
                           no("NaN"),
                           no("Infinity")};
  for (const TtlCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.text));
    auto ttl = parse_lease_ttl(given.text, 24h);
    if (given.ttl) {
      ASSERT_TRUE(ttl.has_value()) << ttl.error().message;
      EXPECT_EQ(*ttl, *given.ttl);
    } else {
      ASSERT_TRUE(ttl.has_error()) << ttl->count();
      EXPECT_EQ(ttl.error().code, Errc::invalid_argument);
      EXPECT_EQ(ttl.error().message, given.message);
    }
  }
}

TEST(LeaseTtl, TheLargestOfAllIsGranted) {
  auto ttl = parse_lease_ttl("9000000000s", 9'000'000'000s);
  ASSERT_TRUE(ttl.has_value());
  EXPECT_EQ(*ttl, 9'000'000'000s);
  EXPECT_TRUE(parse_lease_ttl("9000000000s1ns", 9'000'000'000s).has_error());
}

TEST(LeaseTtl, ARoundedTtlNeverPassesTheLargest) {
  EXPECT_EQ(*parse_lease_ttl("2500ms", 3s), 3s);
  EXPECT_TRUE(parse_lease_ttl("3001ms", 3s).has_error());
}

struct IdCase {
  std::string text;
  std::optional<std::int64_t> id;
};

TEST(LeaseKeepPlace, IsADurationOrSecondsUpToTen) {
  for (const auto* text : {"0", "0s", "10", "10s", "10000ms"}) EXPECT_TRUE(parse_lease_keep_place(text)) << text;
  EXPECT_EQ(*parse_lease_keep_place("7"), std::chrono::seconds(7));
  EXPECT_EQ(*parse_lease_keep_place("1.5s"), std::chrono::milliseconds(1500));
  for (const auto* text : {"", "11", "10.1s", "-1s", "-1", "1.5", "x", "99999999999999999999"}) {
    EXPECT_FALSE(parse_lease_keep_place(text)) << text;
  }
}

TEST(LeaseId, IsDecimalWithSpaceAround) {
  const IdCase cases[] = {{"12345", 12345},
                          {"0", 0},
                          {"-1", -1},
                          {"\r\n12\r\n", 12},
                          {" \t12\t ", 12},
                          {"+5", 5},
                          {"007", 7},
                          {"-0", 0},
                          {"-007", -7},
                          {std::string(40, '0') + "9223372036854775807", INT64_MAX},
                          {"9223372036854775807", INT64_MAX},
                          {"-9223372036854775808", INT64_MIN},
                          {"9223372036854775808", std::nullopt},
                          {"-9223372036854775809", std::nullopt},
                          {"9223372036854775810", std::nullopt},
                          {"10000000000000000000", std::nullopt},
                          {"18446744073709551616", std::nullopt},
                          {"18446744073709551621", std::nullopt},
                          {"99999999999999999999", std::nullopt},
                          {"-99999999999999999999", std::nullopt},
                          {"922337203685477580:", std::nullopt},
                          {"12/", std::nullopt},
                          {"", std::nullopt},
                          {" \r\n", std::nullopt},
                          {"12 34", std::nullopt},
                          {"12\n34", std::nullopt},
                          {"+", std::nullopt},
                          {"-", std::nullopt},
                          {"+-5", std::nullopt},
                          {"-+5", std::nullopt},
                          {"--5", std::nullopt},
                          {"++5", std::nullopt},
                          {"- 5", std::nullopt},
                          {"1_000", std::nullopt},
                          {"0x10", std::nullopt},
                          {"12.0", std::nullopt},
                          {"1e3", std::nullopt},
                          {R"("12")", std::nullopt},
                          {R"({"id":12})", std::nullopt},
                          {"12\0"s, std::nullopt},
                          {"\xD9\xA1", std::nullopt},
                          {"abc", std::nullopt}};
  for (const IdCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.text));
    auto id = parse_lease_id(given.text);
    ASSERT_EQ(id.has_value(), given.id.has_value());
    if (id) {
      EXPECT_EQ(number_of(*id), *given.id);
    }
  }
}

}  // namespace
}  // namespace sharedlock
