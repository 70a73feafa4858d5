#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sharedlock {

// The length of the well-formed UTF-8 sequence at the start of `text` (not empty), or 0.
std::size_t utf8_length(std::string_view text);

// Characters that control how text is displayed instead of being shown: C1 controls (terminals obey U+009B like ESC [),
// line and paragraph separators, and direction controls, which make a text read as another. `sequence` is one
// well-formed sequence of two or three bytes; other lengths control nothing, except the ASCII controls, which this does
// not check.
bool steers_display(std::string_view sequence);

// The text as one line for a terminal that shows what it says: each ASCII control, each character that steers_display()
// and each byte that is not UTF-8 becomes one '?'.
std::string shown_line(std::string_view text);

}  // namespace sharedlock
