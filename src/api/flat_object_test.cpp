#include "api/flat_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sharedlock {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();

// What the strict parser reads. The other way must lead to the same.
Result<JsonBody> parsed(const std::string& body) {
  auto strict = parse_json_strictly(body);
  auto usual = parse_json_body(body);
  bool alike = usual ? strict.has_value() && *usual == *strict
                     : !strict.has_value() && usual.error().message == strict.error().message;
  EXPECT_TRUE(alike) << body;
  return strict;
}

// The members of a JsonMember that may outlive the body.
struct OnlyMember {
  std::string name;
  JsonKind kind;
  std::string text;
  std::optional<std::int64_t> integer;
  bool maps_strings;
};

// The only member of an object.
OnlyMember only_member(const std::string& text) {
  auto body = parsed(text);
  if (!body) throw std::runtime_error(body.error().message);
  if (body->members.size() != 1) throw std::runtime_error("not one member: " + text);
  const JsonMember& member = body->members.front();
  return {std::string(member.name), member.kind, std::string(member.text), member.integer, member.maps_strings};
}

std::string fault_of(const std::string& text) {
  auto body = parsed(text);
  return body ? "none" : body.error().message;
}

template <class Text>
concept ReadableBody = requires(Text&& text) { parse_json_body(std::forward<Text>(text)); };
static_assert(ReadableBody<const std::string&> && ReadableBody<std::string_view>);
static_assert(!ReadableBody<std::string>, "the texts of the result would dangle");

std::string nested(int depth, char open, char close) {
  return std::string(static_cast<std::size_t>(depth), open) + std::string(static_cast<std::size_t>(depth), close);
}

struct KindCase {
  std::string text;
  JsonKind kind;
  std::string word;
};

TEST(FlatObject, TellsTheKindOfTheBodyAndOfItsMembers) {
  const KindCase cases[] = {{R"("text")", JsonKind::string, "string"},
                            {"12", JsonKind::integer, "integer"},
                            {"-0", JsonKind::integer, "integer"},
                            {"1.0", JsonKind::number, "number"},
                            {"1e2", JsonKind::number, "number"},
                            {"1e400", JsonKind::number, "number"},
                            {"1e-400", JsonKind::number, "number"},
                            {"-1.5E+2", JsonKind::number, "number"},
                            {"true", JsonKind::boolean, "boolean"},
                            {"false", JsonKind::boolean, "boolean"},
                            {"null", JsonKind::null, "null"},
                            {"{}", JsonKind::object, "object"},
                            {R"({"a":[1,{"b":"c"}]})", JsonKind::object, "object"},
                            {"[]", JsonKind::array, "array"},
                            {R"([{"a":"b"},"c",[1.5]])", JsonKind::array, "array"}};
  for (const KindCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.text));
    const std::string text = " " + given.text + "\r\n";
    auto body = parsed(text);
    ASSERT_TRUE(body.has_value());
    EXPECT_EQ(body->kind, given.kind);
    EXPECT_EQ(only_member(R"({"m": )" + given.text + "}").kind, given.kind);
    EXPECT_EQ(name_of(given.kind), given.word);
  }
}

struct IntegerCase {
  std::string text;
  std::int64_t value;
};

TEST(FlatObject, IntegersAreExactOrClamped) {
  const IntegerCase cases[] = {{"0", 0},
                               {"-0", 0},
                               {"86400", 86400},
                               {"-1", -1},
                               {"9007199254740993", 9007199254740993},
                               {"9223372036854775807", kLargest},
                               {"9223372036854775808", kLargest},
                               {"18446744073709551616", kLargest},
                               {"99999999999999999999999999", kLargest},
                               {std::string(400, '9'), kLargest},
                               {"-9223372036854775808", kSmallest},
                               {"-9223372036854775809", kSmallest},
                               {"-" + std::string(400, '9'), kSmallest}};
  for (const IntegerCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.text));
    OnlyMember member = only_member(R"({"m":)" + given.text + "}");
    EXPECT_EQ(member.kind, JsonKind::integer);
    EXPECT_EQ(member.integer, given.value);
  }
}

TEST(FlatObject, WholeNumbersAreExactInEveryNotation) {
  const IntegerCase cases[] = {{"30.0", 30},
                               {"3e1", 30},
                               {"3E+1", 30},
                               {"300e-1", 30},
                               {"0.003e4", 30},
                               {"-1.5E+2", -150},
                               {"-0.0", 0},
                               {"-0e5", 0},
                               {"0e-400", 0},
                               {"0.000e99999", 0},
                               {"9007199254740993.0", 9007199254740993},
                               {"9007199254740993.00e0", 9007199254740993},
                               {"9223372036854775807.0", kLargest},
                               {"922337203685477580.6e1", kLargest - 1},
                               {"9223372036854775808.0", kLargest},
                               {"-9223372036854775807.0", kSmallest + 1},
                               {"-9223372036854775808.0", kSmallest},
                               {"1e18", 1'000'000'000'000'000'000},
                               {"1e19", kLargest},
                               {"1e400", kLargest},
                               {"-1e400", kSmallest},
                               {"1e999999999", kLargest},
                               {"1" + std::string(50'000, '0') + "e-50000", 1},
                               {"0." + std::string(50'000, '0') + "7e50001", 7}};
  for (const IntegerCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.text));
    OnlyMember member = only_member(R"({"m":)" + given.text + "}");
    EXPECT_EQ(member.kind, JsonKind::number);
    EXPECT_EQ(member.integer, given.value);
  }
  for (const char* text : {"30.5", "1e-400", "-1.5E+0", "1.0000000000000000000000001", "9007199254740993.5", "1e-1"}) {
    EXPECT_EQ(only_member(R"({"m":)" + std::string(text) + "}").integer, std::nullopt) << text;
  }
}

TEST(FlatObject, KeepsMembersInTheirOrderWithRepeatedNames) {
  const std::string text = R"({"b":"1","a":2,"b":null,"":"e"})";
  auto body = parsed(text);
  ASSERT_TRUE(body.has_value());
  ASSERT_EQ(body->members.size(), 4U);
  EXPECT_EQ(body->members[0].name, "b");
  EXPECT_EQ(body->members[0].text, "1");
  EXPECT_EQ(body->members[1].name, "a");
  EXPECT_EQ(body->members[1].integer, 2);
  EXPECT_EQ(body->members[2].name, "b");
  EXPECT_EQ(body->members[2].kind, JsonKind::null);
  EXPECT_EQ(body->members[3].name, "");
  EXPECT_EQ(body->members[3].text, "e");
}

TEST(FlatObject, DecodesStrings) {
  EXPECT_EQ(only_member(R"({"m":"\u00e9\n\/\"\\ \ud83d\ude00 é 😀"})").text, "é\n/\"\\ 😀 é 😀");
  EXPECT_EQ(only_member(R"({"m":"a\u0000b"})").text, "a\0b"s);
  EXPECT_EQ(only_member(R"({"k\u0065y":"v"})").name, "key");
  EXPECT_EQ(only_member(R"({"m":""})").text, "");
  std::string large(60'000, 'x');
  EXPECT_EQ(only_member(R"({"m":")" + large + R"("})").text, large);
}

TEST(FlatObject, SkipsDeeperNestedValues) {
  const std::string text = R"({"a":{"key":"inner","b":[{"key":1}]},"key":"outer"})";
  auto body = parsed(text);
  ASSERT_TRUE(body.has_value());
  ASSERT_EQ(body->members.size(), 2U);
  EXPECT_EQ(body->members[1].name, "key");
  EXPECT_EQ(body->members[1].text, "outer");
}

struct MapCase {
  std::string text;
  std::optional<std::string> map;  // nothing: not a map of strings
};

TEST(FlatObject, MapsOfStringsAreKeptAsText) {
  const MapCase cases[] = {{"{}", "{}"},
                           {R"({ "a" : "b" })", R"({"a":"b"})"},
                           {R"({"a":"b","c":"\"\n"})", R"({"a":"b","c":"\"\n"})"},
                           {R"({"a":null,"b":"c"})", R"({"b":"c"})"},
                           {R"({"a":null})", "{}"},
                           {R"({"a":1})", std::nullopt},
                           {R"({"a":"b","c":true})", std::nullopt},
                           {R"({"a":{}})", std::nullopt},
                           {R"({"a":{"b":"c"},"d":"e"})", std::nullopt},
                           {R"({"a":["b"]})", std::nullopt},
                           {R"({"a":1.5})", std::nullopt},
                           {R"(["a","b"])", std::nullopt},
                           {R"([{"a":"b"}])", std::nullopt},
                           {R"("a")", std::nullopt},
                           {"null", std::nullopt}};
  for (const MapCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.text));
    OnlyMember member = only_member(R"({"labels":)" + given.text + "}");
    EXPECT_EQ(member.maps_strings, given.map.has_value());
    if (member.maps_strings) {
      EXPECT_EQ(member.text, given.map);
    }
  }
}

TEST(FlatObject, NestsAHundredDeepAndNoDeeper) {
  EXPECT_EQ(fault_of(nested(100, '[', ']')), "none");
  EXPECT_THAT(fault_of(nested(101, '[', ']')), StartsWith("body is not JSON at byte 101: '["));
  EXPECT_THAT(fault_of(R"({"a":)" + nested(30'000, '[', ']') + "}"), StartsWith("body is not JSON at byte "));
  std::string objects;
  for (int i = 0; i < 9'000; ++i) objects += R"({"a":)";
  EXPECT_THAT(fault_of(objects), StartsWith("body is not JSON at byte "));
}

struct FaultCase {
  std::string body;
  std::string message;
};

TEST(FlatObject, FaultsSayWhere) {
  const FaultCase cases[] = {{"", "body is not JSON at byte 1: ''"},
                             {"  ", "body is not JSON at byte 3: ''"},
                             {"not json", "body is not JSON at byte 1: 'not json'"},
                             {"'a'", "body is not JSON at byte 1: ''a''"},
                             {R"({"a":1} x)", "body is not JSON at byte 9: 'x'"},
                             {"{}{}", "body is not JSON at byte 3: '{}'"},
                             {R"({"a":1,})", "body is not JSON at byte 8: '}'"},
                             {R"({a:1})", "body is not JSON at byte 2: 'a:1}'"},
                             {R"({"a" 1})", "body is not JSON at byte 6: '1}'"},
                             {R"({"a":1)", "body is not JSON at byte 7: ''"},
                             {R"({"a":"b)", "body is not JSON at byte 8: ''"},
                             {R"({"a":01})", "body is not JSON at byte 7: '1}'"},
                             {R"({"a":+1})", "body is not JSON at byte 6: '+1}'"},
                             {R"({"a":NaN})", "body is not JSON at byte 6: 'NaN}'"},
                             {"\xEF\xBB\xBF{}",
                              "body is not JSON at byte 1: '??"
                              "?{}'"},
                             {"{}\0"s, "body is not JSON at byte 3: '?'"s}};
  for (const FaultCase& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given.body));
    EXPECT_EQ(fault_of(given.body), given.message);
  }
}

TEST(FlatObject, BadJsonIsRefused) {
  const std::string cases[] = {"{\"a\":\"\xFF\"}",
                               "{\"a\":\"\xC0\xAF\"}",
                               "{\"a\":\"\xED\xA0\x80\"}",
                               "{\"\xFF\":1}",
                               R"({"a":"\ud800"})",
                               R"({"a":"\udc00"})",
                               R"({"a":"\ud800\ud800"})",
                               R"({"a":"\u12"})",
                               R"({"a":"\x"})",
                               "{\"a\":\"\n\"}",
                               R"({"a":1 "b":2})",
                               R"({1:2})",
                               "{,}",
                               "[1,]",
                               "}",
                               "{",
                               "tru",
                               "nul",
                               "-",
                               "1.",
                               ".5",
                               "1e",
                               "0x10",
                               R"({"a":1e99999999999})",  // beyond what the parser reads
                               "// c\n{}",
                               "/**/{}"};
  for (const std::string& given : cases) {
    SCOPED_TRACE(testing::PrintToString(given));
    EXPECT_THAT(fault_of(given), StartsWith("body is not JSON at byte "));
  }
}

TEST(FlatObject, ShowsAtMostTwentyBytesOfAFault) {
  EXPECT_EQ(fault_of("{" + std::string(1'000, 'x')), "body is not JSON at byte 2: '" + std::string(20, 'x') + "'");
}

}  // namespace
}  // namespace sharedlock
