#include "base/text_writer.h"

#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <limits>
#include <random>
#include <string>

namespace sharedlock {
namespace {

constexpr char kUntouched = '#';

std::string written(std::int64_t number) {
  std::array<char, TextWriter::kLongestNumber + 1> text{};
  text.fill(kUntouched);
  auto* end = TextWriter(text.data()).number(number).end();
  EXPECT_EQ(text.back(), kUntouched) << number;
  return {text.data(), end};
}

std::string expected(std::int64_t number) {
  std::array<char, TextWriter::kLongestNumber> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

void expect_both_signs(std::int64_t number) {
  ASSERT_EQ(written(number), expected(number));
  ASSERT_EQ(written(-number), expected(-number));
}

TEST(TextWriter, SmallNumbersAreThoseOfToChars) {
  for (std::int64_t number = 0; number <= 200'000; ++number) expect_both_signs(number);
}

TEST(TextWriter, NumbersAtTheBordersOfEachLengthAreThoseOfToChars) {
  std::int64_t power = 1;
  for (int digits = 1; digits <= 19; ++digits) {
    for (std::int64_t off = -3; off <= 3; ++off) expect_both_signs(power + off);
    if (digits < 19) power *= 10;
  }
  for (int bit = 0; bit < 63; ++bit) {
    std::int64_t bits = std::int64_t{1} << bit;
    for (std::int64_t off = -3; off <= 3; ++off) expect_both_signs(bits + off);
  }
}

TEST(TextWriter, TheLimitsAreThoseOfToChars) {
  using Limits = std::numeric_limits<std::int64_t>;
  for (std::int64_t off = 0; off < 1000; ++off) {
    ASSERT_EQ(written(Limits::min() + off), expected(Limits::min() + off));
    ASSERT_EQ(written(Limits::max() - off), expected(Limits::max() - off));
  }
  EXPECT_EQ(written(Limits::min()), "-9223372036854775808");
}

TEST(TextWriter, NumbersOfEveryLengthAreThoseOfToChars) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    expect_both_signs(static_cast<std::int64_t>(random() >> (1 + i % 63)));
  }
}

TEST(TextWriter, WritesOneBehindAnother) {
  std::array<char, 32> text{};
  auto* end = TextWriter(text.data()).text("a=").number(-7).text("").text(",b=").number(1234567).end();
  EXPECT_EQ(std::string(text.data(), end), "a=-7,b=1234567");
}

}  // namespace
}  // namespace sharedlock
