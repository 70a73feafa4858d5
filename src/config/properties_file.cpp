#include "config/properties_file.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "base/json_text.h"

namespace sharedlock::config {

namespace {

constexpr std::string_view kSpaces = " \t\f\r";

std::string_view trim_left(std::string_view text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kSpaces)));
  return text;
}

// True when an odd number of backslashes ends the line: an even number are escaped ones.
bool is_continued(std::string_view line) {
  const auto last_other = line.find_last_not_of('\\');
  const auto count = last_other == std::string_view::npos ? line.size() : line.size() - last_other - 1;
  return count % 2 == 1;
}

std::string_view trim(std::string_view text) {
  auto end = text.find_last_not_of(kSpaces) + 1;
  // An escaped space is part of the text.
  if (end < text.size() && is_continued(text.substr(0, end))) ++end;
  return trim_left(text.substr(0, end));
}

// Takes the text up to the next line end, which is "\n", "\r\n" or "\r".
std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.size(), text.find_first_of("\r\n"));
  const auto line = text.substr(0, end);
  text.remove_prefix(end);
  text.remove_prefix(text.starts_with("\r\n") ? 2 : text.empty() ? 0 : 1);
  return line;
}

// The position of the separator: the first unescaped `=` or `:`.
std::optional<std::size_t> find_separator(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '=' || line[i] == ':') {
      return i;
    }
  }
  return std::nullopt;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// Takes "uXXXX" off the front of `text`.
std::optional<std::uint32_t> take_utf16(std::string_view& text) {
  std::uint32_t code = 0;
  if (text.size() < 5 || text[0] != 'u') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + 5, code, 16);
  if (error != std::errc{} || end != text.data() + 5) return std::nullopt;
  text.remove_prefix(5);
  return code;
}

// Takes "uXXXX", or two of them (with the backslash between) that are a surrogate pair.
std::optional<std::uint32_t> take_character(std::string_view& text) {
  const auto code = take_utf16(text);
  if (!code || *code < 0xD800 || *code > 0xDFFF) return code;
  if (*code > 0xDBFF || !text.starts_with('\\')) return std::nullopt;
  text.remove_prefix(1);
  const auto low = take_utf16(text);
  if (!low || *low < 0xDC00 || *low > 0xDFFF) return std::nullopt;
  return 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
}

char escaped(char c) {
  switch (c) {
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 'f':
      return '\f';
    default:
      return c;
  }
}

// Nothing when a \u escape is invalid.
std::optional<std::string> unescape(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const char c = text.front();
    if (c != '\\' || text.size() == 1) {
      if (c != '\\') plain += c;
      text.remove_prefix(1);
      continue;
    }
    text.remove_prefix(1);
    if (text.front() == 'u') {
      const auto code = take_character(text);
      if (!code) return std::nullopt;
      append_utf8(plain, *code);
      continue;
    }
    plain += escaped(text.front());
    text.remove_prefix(1);
  }
  return plain;
}

// One logical line, its continuations joined; neither empty nor a comment.
void parse_line(std::string_view line, std::size_t number, Properties& properties) {
  const auto fail = [&](std::string message) { properties.errors.push_back({number, std::move(message)}); };
  if (!is_utf8(line)) return fail("is not UTF-8");
  const auto separator = find_separator(line);
  if (!separator) return fail("must be `key=value` or `key: value`; for a comment, begin the line with #");
  const auto raw_key = trim(line.substr(0, *separator));
  if (raw_key.empty()) return fail("there is no key before the `" + std::string(1, line[*separator]) + "`");
  if (raw_key.find_first_of(kSpaces) != std::string_view::npos) return fail("a key holds no spaces");
  auto key = unescape(raw_key);
  auto value = unescape(trim(line.substr(*separator + 1)));
  if (!key || !value) return fail("holds a \\u that is not followed by the four hexadecimal digits of a character");
  properties.entries.push_back({std::move(*key), std::move(*value), number});
}

}  // namespace

Properties parse_properties(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Properties properties;
  std::size_t line_number = 0;
  while (!text.empty()) {
    const auto first_number = ++line_number;
    std::string line(trim_left(take_line(text)));
    if (line.empty() || line.front() == '#' || line.front() == '!') continue;
    while (is_continued(line)) {
      line.pop_back();
      if (text.empty()) break;
      line += trim_left(take_line(text));
      ++line_number;
    }
    if (!trim(line).empty()) parse_line(line, first_number, properties);
  }
  return properties;
}

}  // namespace sharedlock::config
