#include "api/flat_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace sharedlock {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

bool is_ordinary(const std::string& text) {
  return scan_flat(text).has_value();
}

// False if the scan reads something that the strict parser refuses, or reads as something else.
bool agrees_with_the_strict_parser(const std::string& text) {
  auto scanned = scan_flat(text);
  if (!scanned) return true;
  auto strict = parse_json_strictly(text);
  return strict.has_value() && *scanned == *strict;
}

// What clients of both APIs send.
const std::vector<std::string>& usual_bodies() {
  static const std::vector<std::string> bodies{
      R"({"key":"a/b","value":"me"})",
      R"({"key":"k","value":"v","labels":null,"timestamp":"2024-05-06T07:08:09.5+02:00"})",
      R"({"instanceId":"instance-1","leaseDuration":30})",
      R"({"instanceId":"abc","leaseDuration":30,"wait":5,"keepPlace":10})",
      R"({"instanceId":"abc","leaseDuration":86400,"from":"now","fencingToken":9007199254740993})",
      R"({"instanceId":"abc"})",
      R"({"fencingToken":7})",
      R"({"names":["one","two"],"instanceId":"abc","leaseDuration":30})",
      "{ \"instanceId\": \"abc\",\r\n\t\"leaseDuration\" : 30 }\n"};
  return bodies;
}

TEST(FlatScan, ReadsStringsNumbersAndWords) {
  const std::string text = R"({"s":"text","i":30,"t":true,"f":false,"n":null,"":""})";
  auto body = scan_flat(text);
  ASSERT_TRUE(body.has_value());
  EXPECT_EQ(body->kind, JsonKind::object);
  const JsonMember expected[] = {
      {.name = "s", .kind = JsonKind::string, .text = "text", .integer = {}, .items = {}},
      {.name = "i", .kind = JsonKind::integer, .text = "", .integer = 30, .items = {}},
      {.name = "t", .kind = JsonKind::boolean, .text = "", .integer = {}, .items = {}},
      {.name = "f", .kind = JsonKind::boolean, .text = "", .integer = {}, .items = {}},
      {.name = "n", .kind = JsonKind::null, .text = "", .integer = {}, .items = {}},
      {.name = "", .kind = JsonKind::string, .text = "", .integer = {}, .items = {}},
  };
  EXPECT_THAT(body->members, testing::ElementsAreArray(expected));
}

TEST(FlatScan, ReadsAListOfStrings) {
  const std::string text = R"({"names":["one" , "two"],"none":[ ]})";
  auto body = scan_flat(text);
  ASSERT_TRUE(body.has_value());
  ASSERT_THAT(body->members, SizeIs(2));
  EXPECT_EQ(body->members[0].kind, JsonKind::array);
  EXPECT_EQ(body->members[0].length, 2U);
  EXPECT_THAT(body->members[0].items,
              ElementsAre(JsonItem{JsonKind::string, "one"}, JsonItem{JsonKind::string, "two"}));
  EXPECT_EQ(body->members[1].kind, JsonKind::array);
  EXPECT_EQ(body->members[1].length, 0U);
}

TEST(FlatScan, ItsTextsPointIntoTheBody) {
  const std::string text = R"({"key":"value"})";
  auto body = scan_flat(text);
  ASSERT_TRUE(body.has_value());
  EXPECT_EQ(body->members.front().name.data(), text.data() + 2);
  EXPECT_EQ(body->members.front().text.data(), text.data() + 8);
  EXPECT_TRUE(body->decoded.empty());
}

TEST(FlatScan, KeepsRepeatedNamesInTheirOrder) {
  const std::string text = R"({"a":1,"b":2,"a":3})";
  auto body = scan_flat(text);
  ASSERT_TRUE(body.has_value());
  ASSERT_THAT(body->members, SizeIs(3));
  EXPECT_EQ(body->members[0].integer, 1);
  EXPECT_EQ(body->members[2].name, "a");
  EXPECT_EQ(body->members[2].integer, 3);
}

TEST(FlatScan, ReadsNumbersOf64Bits) {
  const std::string text = R"({"zero":0,"largest":9223372036854775807})";
  auto body = scan_flat(text);
  ASSERT_TRUE(body.has_value());
  EXPECT_EQ(body->members[0].integer, 0);
  EXPECT_EQ(body->members[1].integer, std::numeric_limits<std::int64_t>::max());
}

TEST(FlatScan, WhatClientsSendIsOrdinary) {
  for (const std::string& body : usual_bodies()) EXPECT_TRUE(is_ordinary(body)) << body;
}

// The strict parser decodes every text, and so does more work and allocates more.
TEST(FlatScan, WhatClientsSendIsReadWithoutDecoding) {
  for (const std::string& text : usual_bodies()) {
    auto body = parse_json_body(text);
    ASSERT_TRUE(body.has_value()) << text;
    EXPECT_TRUE(body->decoded.empty()) << text;
    EXPECT_FALSE(parse_json_strictly(text)->decoded.empty()) << text;
  }
}

std::string list_of(std::size_t items) {
  std::string list;
  for (std::size_t i = 0; i < items; ++i) list += list.empty() ? R"("x")" : R"(,"x")";
  return R"({"a":[)" + list + "]}";
}

std::string object_of(std::size_t members) {
  std::string object;
  for (std::size_t i = 0; i < members; ++i) object += object.empty() ? R"({"x":1)" : R"(,"x":1)";
  return object + "}";
}

TEST(FlatScan, LeavesLongBodiesToTheStrictParser) {
  EXPECT_TRUE(is_ordinary(object_of(8)));
  EXPECT_FALSE(is_ordinary(object_of(9)));
  EXPECT_TRUE(is_ordinary(list_of(kMostJsonItems)));
  EXPECT_FALSE(is_ordinary(list_of(kMostJsonItems + 1)));
}

TEST(FlatScan, LeavesTheUnusualToTheStrictParser) {
  const char* cases[] = {"[]",
                         R"("text")",
                         "7",
                         "null",
                         R"({"a":{}})",
                         R"({"a":{"b":"c"}})",
                         R"({"a":[1]})",
                         R"({"a":[null]})",
                         R"({"a":[["b"]]})",
                         R"({"a":"\n"})",
                         R"({"a":"\u0061"})",
                         R"({"\u0061":1})",
                         R"({"a":"é"})",
                         R"({"é":1})",
                         R"({"a":-1})",
                         R"({"a":-0})",
                         R"({"a":1.0})",
                         R"({"a":1e3})",
                         R"({"a":9223372036854775808})",
                         R"({"a":99999999999999999999999999})"};
  for (const char* text : cases) {
    EXPECT_TRUE(parse_json_strictly(text).has_value()) << text;
    EXPECT_FALSE(is_ordinary(text)) << text;
  }
}

TEST(FlatScan, LeavesFaultsToTheStrictParser) {
  const std::string cases[] = {"",
                               " ",
                               "{",
                               "}",
                               "{,}",
                               "{}{}",
                               "{} x",
                               R"({"a"})",
                               R"({"a":})",
                               R"({"a":1,})",
                               R"({"a":1 "b":2})",
                               R"({"a" 1})",
                               R"({a:1})",
                               R"({1:2})",
                               R"({'a':1})",
                               R"({"a":01})",
                               R"({"a":00})",
                               R"({"a":+1})",
                               R"({"a":-})",
                               R"({"a":1.})",
                               R"({"a":1e})",
                               R"({"a":0x10})",
                               R"({"a":1 2})",
                               R"({"a":tru})",
                               R"({"a":truex})",
                               R"({"a":True})",
                               R"({"a":nul})",
                               R"({"a":["b",]})",
                               R"({"a":[,"b"]})",
                               R"({"a":["b" "c"]})",
                               R"({"a":["b"})",
                               "{\"a\":\"\n\"}",
                               "{\"a\":\"\xFF\"}",
                               "\xEF\xBB\xBF{}",
                               "// c\n{}",
                               std::string("{}\0", 3)};
  for (const std::string& text : cases) {
    EXPECT_FALSE(parse_json_strictly(text).has_value()) << text;
    EXPECT_FALSE(is_ordinary(text)) << text;
  }
}

TEST(FlatScan, NoPartOfABodyIsABody) {
  for (const std::string& body : usual_bodies()) {
    for (std::size_t length = 0; length <= body.rfind('}'); ++length) {
      EXPECT_FALSE(is_ordinary(body.substr(0, length))) << body.substr(0, length);
    }
  }
}

TEST(FlatScan, AgreesWithTheStrictParserWhateverByteIsChanged) {
  for (const std::string& body : usual_bodies()) {
    for (std::size_t at = 0; at < body.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string changed = body;
        changed[at] = static_cast<char>(byte);
        ASSERT_TRUE(agrees_with_the_strict_parser(changed)) << changed;
        changed = body;
        changed.insert(at, 1, static_cast<char>(byte));
        ASSERT_TRUE(agrees_with_the_strict_parser(changed)) << changed;
      }
    }
  }
}

}  // namespace
}  // namespace sharedlock
