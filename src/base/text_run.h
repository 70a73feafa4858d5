#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sharedlock {

// Eight characters as one number, to look at them at once; or notes about them, in bit 7 of each byte. A note about a
// character may be wrong if there is a right one about another. So what counts is whether any is noted.
using EightChars = std::uint64_t;

constexpr EightChars each_byte(unsigned char byte) {
  return EightChars{0x0101010101010101} * byte;
}
// These two are only right about ASCII: combine them with the third.
constexpr EightChars note_below(EightChars chars, unsigned char limit) {
  return chars - each_byte(limit);
}
constexpr EightChars note_same(EightChars chars, unsigned char byte) {
  return (chars ^ each_byte(byte)) - each_byte(1);
}
// 0x7F and all bytes from 0x80 on.
constexpr EightChars note_not_printable_ascii(EightChars chars) {
  return chars | (chars + each_byte(1));
}
constexpr bool any_noted(EightChars notes) {
  return (notes & each_byte(0x80)) != 0;
}

// Whether all are printable ASCII and stand for themselves in a JSON string.
constexpr bool are_plain_in_json(EightChars chars) {
  return !any_noted(note_below(chars, 0x20) | note_same(chars, '"') | note_same(chars, '\\') |
                    note_not_printable_ascii(chars));
}

// How many characters belong before the first that does not. `all_belong(EightChars)` must not be true of eight of
// which one does not; it may be false of eight that do, which are then looked at one by one.
template <bool belongs(char), bool all_belong(EightChars)>
std::size_t run_length(std::string_view text) {
  std::size_t length = 0;
  for (EightChars chars = 0; text.size() - length >= sizeof chars; length += sizeof chars) {
    std::memcpy(&chars, text.data() + length, sizeof chars);
    if (!all_belong(chars)) break;
  }
  while (length < text.size() && belongs(text[length])) ++length;
  return length;
}

}  // namespace sharedlock
