#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

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
  JsonObject() : json_(kUsualSize, '\0') { append("{"); }

  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::int64_t value);
  JsonObject& boolean(std::string_view name, bool value);
  JsonObject& raw(std::string_view name, std::string_view json);  // a value that is already JSON
  JsonObject& members(std::string_view json);                     // whole members, each with a comma before it

  // The finished object; call it last.
  std::string take() {
    append("}");
    json_.resize(length_);
    return std::move(json_);
  }

 private:
  // Enough for most objects, so that writing one allocates once.
  static constexpr std::size_t kUsualSize = 256;

  void name(std::string_view name);

  // Inline, since an object has many pieces and most of them are of a few bytes.
  void append(std::string_view piece) {
    if (json_.size() - length_ < piece.size()) json_.resize(2 * json_.size() + piece.size());
    piece.copy(json_.data() + length_, piece.size());
    length_ += piece.size();
  }

  std::string json_;  // what is written, and room for more
  std::size_t length_ = 0;
};

}  // namespace sharedlock
