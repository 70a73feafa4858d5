#include "http/head_scan.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/text_run.h"
#include "http/text.h"

namespace sharedlock::http {

namespace {

constexpr std::string_view kNameChars = "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

constexpr auto kIsNameChar = [] {
  std::array<bool, 256> table{};
  for (char c : kNameChars) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

// Fewer than the grammar allows; names that clients send hold no others.
bool is_name_char(char c) {
  return kIsNameChar[static_cast<unsigned char>(c)];
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool is_visible(char c) {
  return c > ' ' && c <= '~';
}

bool are_visible(EightChars chars) {
  return !any_noted(note_below(chars, ' ' + 1) | note_not_printable_ascii(chars));
}

bool is_text(char c) {
  return is_visible(c) || is_blank(c);
}

bool are_text(EightChars chars) {
  return !any_noted(note_below(chars, ' ') | note_not_printable_ascii(chars));
}

// The literal's size is known when this is compiled, so its bytes are compared as numbers.
template <std::size_t size_with_end>
bool skip_if_next(std::string_view& rest, const char (&literal)[size_with_end]) {
  constexpr std::size_t kSize = size_with_end - 1;
  if (rest.size() < kSize || !std::equal(literal, literal + kSize, rest.begin())) return false;
  rest.remove_prefix(kSize);
  return true;
}

std::string_view take(std::string_view& rest, std::size_t size) {
  std::string_view taken = rest.substr(0, size);
  rest.remove_prefix(size);
  return taken;
}

std::string_view take_name(std::string_view& rest) {
  std::size_t size = 0;
  while (size < rest.size() && is_name_char(rest[size])) ++size;
  return take(rest, size);
}

void skip_blanks(std::string_view& rest) {
  while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
}

bool scan_request_line(std::string_view& rest, OrdinaryHead& head) {
  head.method = method_called(take_name(rest));
  if (head.method == Method::other || !skip_if_next(rest, " ")) return false;
  head.target = take(rest, run_length<is_visible, are_visible>(rest));
  return !head.target.empty() && skip_if_next(rest, " HTTP/1.1\r\n");
}

bool scan_field(std::string_view& rest, Header& field) {
  field.name = take_name(rest);
  if (field.name.empty() || !skip_if_next(rest, ":")) return false;
  skip_blanks(rest);
  field.value = take(rest, run_length<is_text, are_text>(rest));
  while (!field.value.empty() && is_blank(field.value.back())) field.value.remove_suffix(1);
  return skip_if_next(rest, "\r\n");
}

bool read_length(std::string_view digits, std::optional<std::uint64_t>& length) {
  if (length) return false;
  const char* end = digits.data() + digits.size();
  auto [last, failed] = std::from_chars(digits.data(), end, length.emplace());
  return failed == std::errc() && last == end;
}

// Of the fields that may come once.
struct SeenFields {
  bool host = false;
  bool connection = false;
};

// What the field says about its request. False if that is not ordinary.
bool read_meaning(const Header& field, OrdinaryHead& head, SeenFields& seen) {
  auto is = [&field](std::string_view name) { return equal_ignoring_case(field.name, name); };
  if (is("Host")) return !std::exchange(seen.host, true);
  if (is("Content-Length")) return read_length(field.value, head.content_length);
  if (is("Connection")) {
    head.keep_alive = equal_ignoring_case(field.value, "keep-alive");
    bool known = head.keep_alive || equal_ignoring_case(field.value, "close");
    return known && !std::exchange(seen.connection, true);
  }
  // Beast takes the last for another Connection.
  return !is("Transfer-Encoding") && !is("Expect") && !is("Proxy-Connection");
}

}  // namespace

bool scan_head(std::string_view bytes, OrdinaryHead& head) {
  std::string_view rest = bytes;
  if (!scan_request_line(rest, head)) return false;
  SeenFields seen;
  while (!skip_if_next(rest, "\r\n")) {
    if (head.fields.size() == OrdinaryHead::kMostFields) return false;
    Header& field = head.fields.emplace_back();
    if (!scan_field(rest, field) || !read_meaning(field, head, seen)) return false;
  }
  head.size = bytes.size() - rest.size();
  return seen.host;
}

}  // namespace sharedlock::http
