#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace sharedlock {

// Appends `text` to `out` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, so that what is
// written is always JSON. Characters that steer a terminal or the direction of writing are escaped, those that JSON
// lets stand too: a line of the log shows what it says.
void append_json_string(std::string& out, std::string_view text);

// True when `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

// Writes one JSON object, member by member. Names must be literals that need no escaping.
class JsonObject {
 public:
  JsonObject() { json_.reserve(kUsualSize); }

  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::int64_t value);
  JsonObject& boolean(std::string_view name, bool value);
  JsonObject& raw(std::string_view name, std::string_view json);  // a value that is JSON already
  JsonObject& members(std::string_view json);                     // whole members, each with a comma before it

  // The finished object; call it last.
  std::string take() { return std::move(json_) + '}'; }

 private:
  // Larger than most of them, so that writing one allocates once.
  static constexpr std::size_t kUsualSize = 256;

  void name(std::string_view name);

  std::string json_ = "{";
};

}  // namespace sharedlock
