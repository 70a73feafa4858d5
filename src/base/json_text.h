#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sharedlock {

// Appends `text` to `out` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, so the result is
// always JSON. Characters that control a terminal or the writing direction are escaped even where JSON allows them: a
// log line shows what it says.
void append_json_string(std::string& out, std::string_view text);

// True when `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

// Writes one JSON object, member by member. Names must be literals that need no escaping.
class JsonObject {
 public:
  JsonObject() : json_(kUsualSize, '{') {}

  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::int64_t value);
  JsonObject& boolean(std::string_view name, bool value);
  JsonObject& raw(std::string_view name, std::string_view json);  // a value that is already JSON
  JsonObject& members(std::string_view json);                     // whole members, each with a comma before it

  // The finished object; call it last.
  std::string take();

 private:
  // Enough for most objects, so that writing one allocates once.
  static constexpr std::size_t kUsualSize = 256;

  char* begin_member(std::string_view name, std::size_t value_size);
  char* room(std::size_t more);
  void end(const char* end) { length_ = static_cast<std::size_t>(end - json_.data()); }

  std::string json_;        // what is written, and room for more
  std::size_t length_ = 1;  // of what is written
};

}  // namespace sharedlock
