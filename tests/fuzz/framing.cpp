#include "fuzz/framing.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace sharedlock::fuzz {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_called(std::string_view name, std::string_view wanted) {
  return std::ranges::equal(name, wanted, {}, lower);
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    char small = lower(c);
    return (small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') || kTokenMarks.find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) {
  std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The whole of `text` as a number that is small enough to calculate with.
std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  bool whole = failed == std::errc() && end == text.data() + text.size() && !text.empty();
  return whole && value < (1ULL << 60) ? std::optional(value) : std::nullopt;
}

// Nothing if there is no line, or if another parser could see its end elsewhere.
std::optional<std::string_view> take_line(std::string_view& text) {
  std::size_t end = text.find(kLineEnd);
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(0, end);
  if (line.find_first_of(kLineEnd) != std::string_view::npos) return std::nullopt;
  text.remove_prefix(end + kLineEnd.size());
  return line;
}

struct BodyRule {
  int lengths = 0;
  int encodings = 0;
  std::uint64_t length = 0;
};

// What one header line says about the body; false when it is unclear.
bool read_field(std::string_view line, BodyRule& rule) {
  std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  std::string_view name = line.substr(0, colon);
  std::string_view value = trimmed(line.substr(colon + 1));
  if (is_called(name, "transfer-encoding")) return ++rule.encodings == 1 && is_called(value, "chunked");
  if (!is_called(name, "content-length")) return true;
  auto length = number(value, 10);
  rule.length = length.value_or(0);
  return ++rule.lengths == 1 && length.has_value();
}

std::optional<BodyRule> take_fields(std::string_view& text) {
  BodyRule rule;
  for (auto line = take_line(text); line; line = take_line(text)) {
    if (line->empty()) return rule.lengths + rule.encodings > 1 ? std::nullopt : std::optional(rule);
    if (!read_field(*line, rule)) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string> take_bytes(std::string_view& text, std::uint64_t count) {
  if (text.size() < count) return std::nullopt;
  std::string bytes(text.substr(0, static_cast<std::size_t>(count)));
  text.remove_prefix(static_cast<std::size_t>(count));
  return bytes;
}

std::optional<std::string> take_chunks(std::string_view& text) {
  std::string body;
  for (auto line = take_line(text); line; line = take_line(text)) {
    auto size = number(trimmed(line->substr(0, line->find(';'))), 16);
    if (!size) return std::nullopt;
    if (*size == 0) {
      for (auto trailer = take_line(text); trailer; trailer = take_line(text)) {
        if (trailer->empty()) return body;
      }
      return std::nullopt;
    }
    auto chunk = take_bytes(text, *size);
    if (!chunk || !text.starts_with(kLineEnd)) return std::nullopt;
    text.remove_prefix(kLineEnd.size());
    body += *chunk;
  }
  return std::nullopt;
}

std::optional<Framed> take_request(std::string_view& text) {
  auto line = take_line(text);
  if (!line) return std::nullopt;
  Framed request{std::string(line->substr(std::min(line->find(' '), line->size()), line->rfind(' '))), {}};
  auto rule = take_fields(text);
  if (!rule) return std::nullopt;
  auto body = rule->encodings > 0 ? take_chunks(text) : take_bytes(text, rule->length);
  if (!body) return std::nullopt;
  request.body = std::move(*body);
  return request;
}

}  // namespace

Framing frame(std::string_view input) {
  Framing framing;
  for (;;) {
    std::size_t before = input.size();
    while (input.starts_with(kLineEnd)) input.remove_prefix(kLineEnd.size());
    if (input.empty()) {
      framing.rest_is_unclear = before > 0;  // empty lines alone may become too many
      return framing;
    }
    auto request = take_request(input);
    if (!request) {
      framing.rest_is_unclear = true;
      return framing;
    }
    framing.requests.push_back(*std::move(request));
  }
}

}  // namespace sharedlock::fuzz
