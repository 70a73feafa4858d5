#include "base/text_run.h"

#include <gtest/gtest.h>

#include <string>

namespace sharedlock {
namespace {

bool is_plain(char c) {
  return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

std::size_t one_by_one(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && is_plain(text[length])) ++length;
  return length;
}

// Every pair of bytes at every pair of neighbouring places, since a note may spill over into the next byte.
TEST(TextRun, IsAsLongAsOneFoundByteByByte) {
  for (std::size_t place = 0; place < 17; ++place) {
    std::string text(18, 'a');
    for (int first = 0; first < 256; ++first) {
      text[place] = static_cast<char>(first);
      for (int second = 0; second < 256; ++second) {
        text[place + 1] = static_cast<char>(second);
        ASSERT_EQ((run_length<is_plain, are_plain_in_json>(text)), one_by_one(text))
            << place << ' ' << first << ' ' << second;
      }
    }
  }
}

TEST(TextRun, EightPlainCharactersAreSeenAtOnce) {
  for (char c : {' ', '!', '#', '[', ']', '~', 'a', 'Z', '0'}) {
    EightChars chars = each_byte(static_cast<unsigned char>(c));
    EXPECT_TRUE(are_plain_in_json(chars)) << c;
  }
}

TEST(TextRun, OfNothing) {
  EXPECT_EQ((run_length<is_plain, are_plain_in_json>("")), 0U);
}

}  // namespace
}  // namespace sharedlock
