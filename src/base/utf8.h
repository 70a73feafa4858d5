#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sharedlock {

// The length of the well-formed UTF-8 sequence at the start of `text` (not empty), or 0.
std::size_t utf8_length(std::string_view text);

// Characters that steer what shows a text instead of being shown: controls of C1 (terminals obey U+009B as they obey
// ESC [), separators of lines and paragraphs, and what turns the direction of writing, so that a text reads as another.
// `sequence` is one well-formed sequence of two or three bytes; those of other lengths steer nothing, but for the
// controls of ASCII, which this does not look at.
bool steers_display(std::string_view sequence);

// The text as one line that shows what it says, for a terminal: each control of ASCII, each character that
// steers_display() and each byte that is not UTF-8 becomes one '?'.
std::string shown_line(std::string_view text);

}  // namespace sharedlock
