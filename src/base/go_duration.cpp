#include "base/go_duration.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace sharedlock {
namespace {

constexpr std::uint64_t kLimit = std::uint64_t{1} << 63;  // the magnitude of the smallest int64; no sum may exceed it

struct Unit {
  std::string_view name;
  std::uint64_t nanoseconds;
};
constexpr std::array<Unit, 8> kUnits{{{"s", 1'000'000'000},
                                      {"m", 60'000'000'000},
                                      {"h", 3'600'000'000'000},
                                      {"ms", 1'000'000},
                                      {"us", 1'000},
                                      {"\u00b5s", 1'000},  // micro sign
                                      {"\u03bcs", 1'000},  // Greek letter mu
                                      {"ns", 1}}};

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes the digits at the front of `text`; nothing when they exceed kLimit.
std::optional<std::uint64_t> take_whole(std::string_view& text) {
  std::uint64_t value = 0;
  for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1)) {
    if (value > kLimit / 10) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(text.front() - '0');
    if (value > kLimit) return std::nullopt;
  }
  return value;
}

struct Fraction {
  std::uint64_t digits = 0;
  double scale = 1;
};

// Takes the digits after a decimal point. Digits beyond what 63 bits hold are read but change nothing, as in Go.
Fraction take_fraction(std::string_view& text) {
  Fraction fraction;
  bool full = false;
  for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1)) {
    const auto digit = static_cast<std::uint64_t>(text.front() - '0');
    full = full || fraction.digits > (kLimit - 1 - digit) / 10;
    if (full) continue;
    fraction.digits = fraction.digits * 10 + digit;
    fraction.scale *= 10;
  }
  return fraction;
}

// Takes everything up to the next number and looks it up; 0 for no such unit.
std::uint64_t take_unit(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && text[length] != '.' && !is_digit(text[length])) ++length;
  const auto name = text.substr(0, length);
  text.remove_prefix(length);
  for (const auto& unit : kUnits) {
    if (unit.name == name) return unit.nanoseconds;
  }
  return 0;
}

// Takes one number with its unit; the result is at most kLimit.
std::optional<std::uint64_t> take_term(std::string_view& text) {
  const auto before_whole = text.size();
  const auto whole = take_whole(text);
  if (!whole) return std::nullopt;
  bool has_digits = text.size() != before_whole;
  Fraction fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const auto before_fraction = text.size();
    fraction = take_fraction(text);
    has_digits = has_digits || text.size() != before_fraction;
  }
  if (!has_digits) return std::nullopt;
  const auto unit = take_unit(text);
  if (unit == 0 || *whole > kLimit / unit) return std::nullopt;
  // Below 3.6e12, so a double is exact to the nanosecond.
  const auto part =
      static_cast<std::uint64_t>(static_cast<double>(fraction.digits) * (static_cast<double>(unit) / fraction.scale));
  const auto value = *whole * unit + part;
  if (value > kLimit) return std::nullopt;
  return value;
}

// `value` / 10^places as a decimal without trailing zeros.
std::string decimal(std::uint64_t value, int places) {
  std::string fraction;
  for (; places > 0; --places) {
    const auto digit = static_cast<char>('0' + value % 10);
    value /= 10;
    if (digit != '0' || !fraction.empty()) fraction.insert(fraction.begin(), digit);
  }
  return fraction.empty() ? std::to_string(value) : std::to_string(value) + "." + fraction;
}

std::string magnitude_text(std::uint64_t nanoseconds) {
  if (nanoseconds == 0) return "0s";
  if (nanoseconds < 1'000) return std::to_string(nanoseconds) + "ns";
  if (nanoseconds < 1'000'000) return decimal(nanoseconds, 3) + "\u00b5s";
  if (nanoseconds < 1'000'000'000) return decimal(nanoseconds, 6) + "ms";
  const auto minutes = nanoseconds / 60'000'000'000;
  auto seconds = decimal(nanoseconds % 60'000'000'000, 9) + "s";
  if (minutes == 0) return seconds;
  if (minutes < 60) return std::to_string(minutes) + "m" + seconds;
  return std::to_string(minutes / 60) + "h" + std::to_string(minutes % 60) + "m" + seconds;
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_go_duration(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  std::uint64_t sum = 0;
  while (!text.empty()) {
    const auto term = take_term(text);
    if (!term) return std::nullopt;
    sum += *term;
    if (sum > kLimit || sum < *term) return std::nullopt;
  }
  if (negative) return std::chrono::nanoseconds(static_cast<std::int64_t>(0 - sum));
  if (sum == kLimit) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(sum));
}

std::string to_go_duration(std::chrono::nanoseconds duration) {
  const auto count = duration.count();
  const auto bits = static_cast<std::uint64_t>(count);
  return count < 0 ? "-" + magnitude_text(0 - bits) : magnitude_text(bits);
}

}  // namespace sharedlock
