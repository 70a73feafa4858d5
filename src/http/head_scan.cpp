#include "http/head_scan.h"

#include <charconv>
#include <system_error>
#include <utility>

#include "http/text.h"

namespace sharedlock::http {

namespace {

constexpr std::string_view kNameChars = "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kRestOfRequestLine = " HTTP/1.1\r\n";

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

bool is_text(char c) {
  return is_visible(c) || is_blank(c);
}

bool skip_if_next(std::string_view& rest, std::string_view text) {
  if (!rest.starts_with(text)) return false;
  rest.remove_prefix(text.size());
  return true;
}

template <bool belongs(char)>
std::string_view take_all(std::string_view& rest) {
  std::size_t size = 0;
  while (size < rest.size() && belongs(rest[size])) ++size;
  std::string_view taken = rest.substr(0, size);
  rest.remove_prefix(size);
  return taken;
}

bool scan_request_line(std::string_view& rest, OrdinaryHead& head) {
  head.method = method_called(take_all<is_name_char>(rest));
  if (head.method == Method::other || !skip_if_next(rest, " ")) return false;
  head.target = take_all<is_visible>(rest);
  return !head.target.empty() && skip_if_next(rest, kRestOfRequestLine);
}

bool scan_field(std::string_view& rest, Header& field) {
  field.name = take_all<is_name_char>(rest);
  if (field.name.empty() || !skip_if_next(rest, ":")) return false;
  take_all<is_blank>(rest);
  field.value = take_all<is_text>(rest);
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
    if (head.field_count == OrdinaryHead::kMostFields) return false;
    Header& field = head.fields[head.field_count++];
    if (!scan_field(rest, field) || !read_meaning(field, head, seen)) return false;
  }
  head.size = bytes.size() - rest.size();
  return seen.host;
}

}  // namespace sharedlock::http
