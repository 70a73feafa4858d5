// The text of a properties file.

#include <algorithm>
#include <string>

#include "base/json_text.h"
#include "config/properties_file.h"
#include "fuzz/target.h"

namespace sharedlock::fuzz {
namespace {

using config::Properties;
using config::Property;

// With every character that means something escaped.
std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\f':
        out += "\\f";
        break;
      case ' ':
        out += "\\u0020";  // a key may hold it only so
        break;
      case '\\':
      case '=':
      case ':':
      case '#':
      case '!':
        out += '\\';
        [[fallthrough]];
      default:
        out += c;
    }
  }
  return out;
}

std::string file_of(const Properties& properties) {
  std::string text = "#\n";  // what looks like a byte order mark is one only at the very beginning
  for (const Property& entry : properties.entries) text += escaped(entry.key) + " = " + escaped(entry.value) + "\n";
  return text;
}

void check(std::string_view text, const Properties& properties) {
  auto lines = static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return c == '\n' || c == '\r'; })) + 1;
  std::size_t last = 0;
  for (const Property& entry : properties.entries) {
    require(entry.line > last && entry.line <= lines, "entries stand in the order of their lines");
    last = entry.line;
    require(is_utf8(entry.key) && is_utf8(entry.value), "keys and values are UTF-8");
  }
  last = 0;
  for (const auto& error : properties.errors) {
    require(error.line > last && error.line <= lines, "errors stand in the order of their lines");
    require(!error.message.empty(), "an error says what is wrong");
    last = error.line;
  }
}

bool has_empty_key(const Properties& properties) {
  return std::ranges::any_of(properties.entries, [](const Property& entry) { return entry.key.empty(); });
}

}  // namespace
}  // namespace sharedlock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sharedlock;
  std::string_view text = fuzz::text_of(data, size);
  config::Properties properties = config::parse_properties(text);
  fuzz::check(text, properties);
  fuzz::require(!fuzz::has_empty_key(properties), "no entry is without a key");
  config::Properties again = config::parse_properties(fuzz::file_of(properties));
  fuzz::require(again.errors.empty(), "what is printed is accepted");
  fuzz::require(std::ranges::equal(again.entries, properties.entries,
                                   [](const auto& a, const auto& b) { return a.key == b.key && a.value == b.value; }),
                "what is printed is read as the same entries");
  return 0;
}
