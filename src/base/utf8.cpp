#include "base/utf8.h"

namespace sharedlock {

// Table 3-7 of the Unicode standard: the second byte's range depends on the first.
std::size_t utf8_length(std::string_view text) {
  auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  auto continues = [&](std::size_t i) { return i < text.size() && (at(i) & 0xC0) == 0x80; };
  unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xE0 && at(1) < 0xA0) return 0;
    if (first == 0xED && at(1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xF0 && at(1) < 0x90) return 0;
    if (first == 0xF4 && at(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

// All of them begin with the byte C2, D8 or E2.
bool steers_display(std::string_view sequence) {
  auto at = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (at(0) == 0xC2) return at(1) < 0xA0;   // U+0080 to U+009F
  if (at(0) == 0xD8) return at(1) == 0x9C;  // U+061C
  if (at(0) != 0xE2) return false;
  if (at(1) == 0x80)
    return at(2) == 0x8E || at(2) == 0x8F || (at(2) >= 0xA8 && at(2) <= 0xAE);  // U+200E, F; U+2028 to E
  return at(1) == 0x81 && at(2) >= 0xA6 && at(2) <= 0xA9;                       // U+2066 to U+2069
}

std::string shown_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    std::size_t length = utf8_length(text);
    auto first = static_cast<unsigned char>(text[0]);
    bool control = first < 0x20 || first == 0x7F;
    bool hidden = length == 0 || control || steers_display(text.substr(0, length));
    if (length == 0) length = 1;
    line.append(hidden ? std::string_view("?") : text.substr(0, length));
    text.remove_prefix(length);
  }
  return line;
}

}  // namespace sharedlock
