#include "config/properties_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Pair = std::pair<std::string, std::string>;

// The pairs of a text that has no errors.
std::vector<Pair> pairs(std::string_view text) {
  const auto properties = parse_properties(text);
  for (const auto& error : properties.errors) ADD_FAILURE() << error.line << ": " << error.message;
  std::vector<Pair> found;
  for (const auto& [key, value, line] : properties.entries) found.emplace_back(key, value);
  return found;
}

TEST(PropertiesFile, KeysAndValues) {
  EXPECT_THAT(
      pairs("a=1\nb:2\nc = 3 \n  d\t:\t4\t\ne=\nf= = : #!"),
      ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("c", "3"), Pair("d", "4"), Pair("e", ""), Pair("f", "= : #!")));
}

TEST(PropertiesFile, TheFirstSeparatorCounts) {
  EXPECT_THAT(pairs("url=http://a:1/?b=c\nurl2: x=y"),
              ElementsAre(Pair("url", "http://a:1/?b=c"), Pair("url2", "x=y")));
}

TEST(PropertiesFile, CommentsAndEmptyLines) {
  EXPECT_THAT(pairs(""), IsEmpty());
  EXPECT_THAT(pairs("# a=1\n! b=2\n\n   \n  # c=3 \\\nd=4 # not a comment\n"),
              ElementsAre(Pair("d", "4 # not a comment")));
}

TEST(PropertiesFile, AllLineEnds) {
  EXPECT_THAT(pairs("a=1\r\nb=2\rc=3"), ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("c", "3")));
}

TEST(PropertiesFile, ContinuedLines) {
  EXPECT_THAT(pairs("a=1,\\\n   2,\\\r\n\t3\nb=x"), ElementsAre(Pair("a", "1,2,3"), Pair("b", "x")));
  EXPECT_THAT(pairs("a=1\\\n#2\nb\\\n=3"), ElementsAre(Pair("a", "1#2"), Pair("b", "3")));
  EXPECT_THAT(pairs("a=1\\\\\nb=2"), ElementsAre(Pair("a", "1\\"), Pair("b", "2")));
  EXPECT_THAT(pairs("a=1\\"), ElementsAre(Pair("a", "1")));
  EXPECT_THAT(pairs("a=1\\\n\nb=2"), ElementsAre(Pair("a", "1"), Pair("b", "2")));
}

TEST(PropertiesFile, Escapes) {
  EXPECT_THAT(pairs(R"(a=http\://x\=\#\!\\)"), ElementsAre(Pair("a", R"(http://x=#!\)")));
  EXPECT_THAT(pairs(R"(a\:b\=c=1)"), ElementsAre(Pair("a:b=c", "1")));
  EXPECT_THAT(pairs(R"(a=\tx\ny\u00e9\u20AC\ud83d\udd12)"), ElementsAre(Pair("a", "\tx\ny\u00e9\u20ac\U0001F512")));
}

TEST(PropertiesFile, Utf8WithOrWithoutAMark) {
  EXPECT_THAT(pairs("\xEF\xBB\xBFk\u00e9y=v\u00e4lue"), ElementsAre(Pair("k\u00e9y", "v\u00e4lue")));
}

TEST(PropertiesFile, AnEscapedSpaceAtTheEndIsPartOfTheValue) {
  EXPECT_THAT(pairs("a=b\\ \nc=d\\\\ \ne=\\   \n"), ElementsAre(Pair("a", "b "), Pair("c", "d\\"), Pair("e", " ")));
}

TEST(PropertiesFile, AKeyIsNotMadeOfAnEscapedSpace) {
  const auto properties = parse_properties("\\ =");
  EXPECT_TRUE(properties.entries.empty());
  ASSERT_EQ(properties.errors.size(), 1u);
  EXPECT_THAT(properties.errors[0].message, HasSubstr("spaces"));
}

TEST(PropertiesFile, RepeatedKeysStayInOrder) {
  EXPECT_THAT(pairs("a=1\nb=2\na=3"), ElementsAre(Pair("a", "1"), Pair("b", "2"), Pair("a", "3")));
}

TEST(PropertiesFile, LinesAreCountedAsAnEditorDoes) {
  const auto entries = parse_properties("# one\n\na=1,\\\n2\r\nb=2\rc=3").entries;
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].line, 3u);
  EXPECT_EQ(entries[1].line, 5u);
  EXPECT_EQ(entries[2].line, 6u);
}

TEST(PropertiesFile, ErrorsSayWhereAndDoNotHideTheRest) {
  const auto properties = parse_properties("a=1\nno separator\n=2\nk k=3\nd=\xff\ne=\\u12\nf=\\ud83d\ng=7");
  ASSERT_EQ(properties.entries.size(), 2u);
  EXPECT_EQ(properties.entries[1].key, "g");
  ASSERT_EQ(properties.errors.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(properties.errors[i].line, i + 2);
  EXPECT_THAT(properties.errors[0].message, HasSubstr("key=value"));
  EXPECT_THAT(properties.errors[1].message, HasSubstr("no key"));
  EXPECT_THAT(properties.errors[2].message, HasSubstr("spaces"));
  EXPECT_THAT(properties.errors[3].message, HasSubstr("UTF-8"));
  EXPECT_THAT(properties.errors[4].message, HasSubstr("\\u"));
}

}  // namespace
}  // namespace sharedlock::config
