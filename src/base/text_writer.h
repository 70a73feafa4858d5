#pragma once

#include <array>
#include <bit>
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
    auto magnitude = static_cast<std::uint64_t>(number);
    if (number < 0) {
      *to_++ = '-';
      magnitude = 0 - magnitude;
    }
    digits(magnitude);
    return *this;
  }

  // Behind what is written.
  char* end() const { return to_; }

 private:
  // "00", "01" and so on, one behind the other.
  static constexpr auto kPairs = [] {
    std::array<char, 200> pairs{};
    for (std::size_t i = 0; i < 100; ++i) {
      pairs[2 * i] = static_cast<char>('0' + i / 10);
      pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
    return pairs;
  }();

  // The smallest number with [i] + 1 digits.
  static constexpr auto kSmallest = [] {
    std::array<std::uint64_t, kLongestNumber> smallest{};  // 0 has one digit
    std::uint64_t power = 1;
    for (std::size_t i = 1; i < smallest.size(); ++i) smallest[i] = power *= 10;
    return smallest;
  }();

  static std::size_t count_digits(std::uint64_t number) {
    // The digits of the largest number with one bit less: a bit is 0.30103 digits.
    std::size_t fewest = static_cast<std::size_t>(std::bit_width(number | 1)) * 1233 >> 12;
    return fewest + (number >= kSmallest[fewest] ? 1 : 0);
  }

  // Two at a time, from the last ones.
  void digits(std::uint64_t number) {
    char* first = to_;
    to_ += count_digits(number);
    char* at = to_;
    for (; number >= 100; number /= 100) std::memcpy(at -= 2, &kPairs[number % 100 * 2], 2);
    if (number >= 10) {
      std::memcpy(first, &kPairs[number * 2], 2);
    } else {
      *first = static_cast<char>('0' + number);
    }
  }

  char* to_;
};

}  // namespace sharedlock
