#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sharedlock {

// Writes texts and numbers one after another into memory that has room for all of them: the caller sees to that, once
// for many. A literal is copied by a few instructions, where to append to a string takes a call for each piece.
class TextWriter {
 public:
  static constexpr std::size_t kLongestNumber = 20;  // of 64 bits

  explicit TextWriter(char* to) : to_(to) {}

  TextWriter& text(std::string_view text) {
    if (!text.empty()) std::memcpy(to_, text.data(), text.size());
    to_ += text.size();
    return *this;
  }

  TextWriter& number(std::int64_t number) {
    to_ = std::to_chars(to_, to_ + kLongestNumber, number).ptr;
    return *this;
  }

  // Behind what is written.
  char* end() const { return to_; }

 private:
  char* to_;
};

}  // namespace sharedlock
