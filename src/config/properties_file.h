#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sharedlock::config {

// One `key = value` of a properties file; `line` (from 1) is where it begins.
struct Property {
  std::string key;
  std::string value;
  std::size_t line;
};

struct PropertyError {
  std::size_t line;
  std::string message;
};

// Everything that could be read, in file order (so that of two equal keys the last wins), and everything that could
// not.
struct Properties {
  std::vector<Property> entries;
  std::vector<PropertyError> errors;
};

// Parses the text of a .properties file as Java writes it, in UTF-8: one `key=value` or `key: value` per line; `#` or
// `!` begins a line of comment; spaces around key and value do not count; a `\` at the end of a line continues it on
// the next one, without the spaces that begin it. `\t`, `\n`, `\r`, `\f` and `\uXXXX` mean those characters, and `\`
// before any other means that one itself. A byte order mark, Windows line ends and empty lines are accepted. Unlike in
// Java, a key must be followed by `=` or `:`, so that a forgotten one is an error and not an empty value.
Properties parse_properties(std::string_view text);

}  // namespace sharedlock::config
