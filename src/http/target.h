#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace sharedlock::http {

// The parts of a request target that we use, still percent-encoded; views into the text that was parsed.
struct Target {
  std::string_view path;   // begins with '/', except for the target "*"
  std::string_view query;  // without the '?'
};

// What RFC 3986 calls unreserved: letters, digits, and four marks. It stands for itself everywhere in a target.
inline constexpr auto kIsUnreserved = [] {
  std::array<bool, 256> table{};
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (char c : {'-', '.', '_', '~'}) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

constexpr bool is_unreserved(char c) {
  return kIsUnreserved[static_cast<unsigned char>(c)];
}

// Understands origin form ("/lease?key=a"), absolute form ("http://host/lease"; scheme and host are ignored) and "*".
// Nothing for anything else: a bad percent-encoding, a byte that RFC 3986 does not allow there, a fragment.
std::optional<Target> parse_target(std::string_view target);

// Decodes a piece of a target with percent-encoding that is known to be valid. A plus stays a plus.
std::string decode(std::string_view piece);

// A name or a value of a query, decoded like forms, which is how client libraries encode them: a plus is a space, and a
// plus itself is sent as %2B.
std::string decode_form(std::string_view piece);

}  // namespace sharedlock::http
