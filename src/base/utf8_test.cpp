#include "base/utf8.h"

#include <gtest/gtest.h>

namespace sharedlock {
namespace {

TEST(ShownLine, KeepsPrintableText) {
  for (const char* text : {"", "held by team-a \"x\" \\ y", "Größe", "日本", "\xF0\x9F\x94\x92", "\xC2\xA0"}) {
    EXPECT_EQ(shown_line(text), text);
  }
}

TEST(ShownLine, TerminalControlSequencesAreRemoved) {
  EXPECT_EQ(shown_line("a\x1B[2Jb\nc\td\x7F"), "a?[2Jb?c?d?");
  EXPECT_EQ(shown_line("a\xC2\x9B"
                       "2Jb"),
            "a?2Jb");
  EXPECT_EQ(shown_line("\xC2\x80\xC2\x9F"), "??");
  EXPECT_EQ(shown_line("user\xE2\x80\xAEnimda\xE2\x81\xA9\xD8\x9C\xE2\x80\xA8"), "user?nimda???");
  // A single C1 byte: some terminals take it as a control character.
  EXPECT_EQ(shown_line("a\x9B"
                       "2J\xE2\x80"),
            "a?2J??");
}

}  // namespace
}  // namespace sharedlock
