#include "base/json_text.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace sharedlock {
namespace {

using namespace std::string_view_literals;

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonText, AppendsAndQuotes) {
  std::string out = "{\"a\":";
  append_json_string(out, "b");
  EXPECT_EQ(out, "{\"a\":\"b\"");
  EXPECT_EQ(as_json(""), "\"\"");
}

TEST(JsonText, EscapesWhatJsonDemands) {
  EXPECT_EQ(as_json("say \"hi\" \\ /"), R"("say \"hi\" \\ /")");
  EXPECT_EQ(as_json("a\nb\rc\td"), R"("a\nb\rc\td")");
  EXPECT_EQ(as_json("\0\x01\x1f\x7f"sv), R"("\u0000\u0001\u001f\u007f")");
}

// Plain characters are told from others eight at a time.
TEST(JsonText, EscapesACharacterWhereverItStands) {
  for (unsigned char c = 0; c < 0x80; ++c) {
    const std::string alone = as_json(std::string(1, static_cast<char>(c)));
    const std::string escaped = alone.substr(1, alone.size() - 2);
    for (std::size_t before = 0; before < 18; ++before) {
      const std::string head(before, '!');
      for (std::size_t after : {0u, 1u, 7u, 8u, 9u}) {
        const std::string tail(after, '~');
        std::string text = head;
        text += static_cast<char>(c);
        ASSERT_EQ(as_json(text + tail), '"' + head + escaped + tail + '"') << int{c};
        ASSERT_EQ(JsonObject().text("a", text + tail).take(), R"({"a":")" + head + escaped + tail + "\"}") << int{c};
      }
    }
  }
}

TEST(JsonText, KeepsUtf8) {
  EXPECT_EQ(as_json("\u00e9\u20ac\U0001F512"), "\"\u00e9\u20ac\U0001F512\"");
}

TEST(JsonText, EscapesTerminalControlsAndTextDirectionMarks) {
  EXPECT_EQ(as_json("\u0080\u0085\u009b31m\u009f"), R"("\u0080\u0085\u009b31m\u009f")");
  EXPECT_EQ(as_json("\u061c\u200e\u200f"), R"("\u061c\u200e\u200f")");
  EXPECT_EQ(as_json("\u2028\u2029\u202a\u202b\u202c\u202d\u202e"), R"("\u2028\u2029\u202a\u202b\u202c\u202d\u202e")");
  EXPECT_EQ(as_json("\u2066\u2067\u2068\u2069"), R"("\u2066\u2067\u2068\u2069")");
}

TEST(JsonText, KeepsTheNeighboursOfEscapedCharacters) {
  for (const auto text : {"\u00a0", "\u061b", "\u061d", "\u200d", "\u2010", "\u2027", "\u202f", "\u2065", "\u206a",
                          "\u1080", "\U0001009b"}) {
    EXPECT_EQ(as_json(text), '"' + std::string(text) + '"');
  }
}

// Every character, as a reader of JSON gets it back.
TEST(JsonText, EveryCharacterComesBack) {
  for (unsigned c = 0x80; c <= 0xFFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    if (c < 0x800) {
      text = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
    } else {
      text = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
              static_cast<char>(0x80 | (c & 0x3F))};
    }
    ASSERT_EQ(boost::json::parse(as_json(text)).as_string(), text) << c;
  }
}

TEST(JsonText, ReplacesEachBadByte) {
  EXPECT_EQ(as_json("a\xff"
                    "b"),
            "\"a\uFFFDb\"");
  EXPECT_EQ(as_json("\xed\xa0\x80"), "\"\uFFFD\uFFFD\uFFFD\"");  // a surrogate
  EXPECT_EQ(as_json("\xe2\x82"), "\"\uFFFD\uFFFD\"");            // cut off
  EXPECT_EQ(as_json("\xc0\xaf"), "\"\uFFFD\uFFFD\"");            // overlong
}

TEST(JsonText, EveryByteSequenceOfTwoBecomesJson) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string bytes{static_cast<char>(first), static_cast<char>(second)};
      boost::system::error_code error;
      const auto parsed = boost::json::parse(as_json(bytes), error);
      ASSERT_FALSE(error) << first << ' ' << second;
      if (is_utf8(bytes)) {
        ASSERT_EQ(parsed.as_string(), bytes) << first << ' ' << second;
      }
    }
  }
}

TEST(JsonText, KnowsWellFormedUtf8) {
  for (const auto text : {""sv, "plain"sv, "\0"sv, "\u00e9"sv, "\u20ac"sv, "\U0001F512"sv, "\uD7FF"sv, "\uE000"sv,
                          "\U0010FFFF"sv, "\x7f"sv, "\xc2\x80"sv, "\xe0\xa0\x80"sv, "\xf0\x90\x80\x80"sv}) {
    EXPECT_TRUE(is_utf8(text)) << as_json(text);
  }
}

TEST(JsonText, KnowsIllFormedUtf8) {
  for (const auto text : {"\x80"sv, "\xff"sv, "\xc1\xbf"sv, "\xc2"sv, "\xc2\x20"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv,
                          "\xed\xbf\xbf"sv, "\xe2\x82"sv, "\xe2\x82\x20"sv, "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv,
                          "\xf5\x80\x80\x80"sv, "\xf0\x9f\x94"sv, "good until \xc0"sv}) {
    EXPECT_FALSE(is_utf8(text)) << as_json(text);
  }
}

TEST(JsonObject, WritesEachMemberOnceAndInItsOrder) {
  EXPECT_EQ(JsonObject().take(), "{}");
  EXPECT_EQ(JsonObject().members("").take(), "{}");
  EXPECT_EQ(JsonObject().members(R"(,"a":1)").take(), R"({"a":1})");
  EXPECT_EQ(JsonObject()
                .text("text", "a \"b\"")
                .text("none", "")
                .number("number", -5)
                .boolean("yes", true)
                .raw("list", "[1]")
                .members(R"(,"more":null)")
                .take(),
            R"({"text":"a \"b\"","none":"","number":-5,"yes":true,"list":[1],"more":null})");
}

// Wherever the memory of a small object ends, within a member or behind one.
TEST(JsonObject, WritesTheSameAtAnySize) {
  for (std::size_t size = 400; size < 600; ++size) {
    const std::string text(size, 'x');
    JsonObject object;
    object.text("a", text).number("number", -1234567890123456789).text("c", "\n").boolean("d", false);
    ASSERT_EQ(object.take(), R"({"a":")" + text + R"(","number":-1234567890123456789,"c":"\n","d":false})") << size;
  }
}

TEST(JsonObject, GoesOnWhereACopyWasMade) {
  std::string written;
  JsonObject object;
  for (int i = 0; i < 100; ++i) {
    const std::string number = std::to_string(i);
    written += (i == 0 ? '{' : ',') + ('"' + number + "\":" + number);
    object.number(number, i);
    ASSERT_EQ(JsonObject(object).take(), written + '}');
  }
}

TEST(JsonObject, GrowsAsItMust) {
  const std::string plain(1'000, 'x');
  const std::string quotes(1'000, '"');
  std::string escaped;
  for (std::size_t i = 0; i < quotes.size(); ++i) escaped += "\\\"";
  EXPECT_EQ(JsonObject().text("a", plain).text("b", quotes).number("c", 1).text("d", plain).raw("e", "2").take(),
            R"({"a":")" + plain + R"(","b":")" + escaped + R"(","c":1,"d":")" + plain + R"(","e":2})");
}

}  // namespace
}  // namespace sharedlock
