#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/text_writer.h"

namespace sharedlock {

// Appends `text` to `out` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, so the result is
// always JSON. Characters that control a terminal or the writing direction are escaped even where JSON allows them: a
// log line shows what it says.
void append_json_string(std::string& out, std::string_view text);

// True when `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

// Writes one JSON object, member by member. Names must need no escaping; literals cost least.
class JsonObject {
 public:
  JsonObject() {}  // usual_ is left as it is

  // Inlined wherever they are called: so the text around a name that is a literal costs a few instructions.
  [[gnu::always_inline]] JsonObject& text(std::string_view name, std::string_view value) {
    write_text(begin_member(name, value.size() + 2), value);
    return *this;
  }
  [[gnu::always_inline]] JsonObject& number(std::string_view name, std::int64_t value) {
    write_number(begin_member(name, TextWriter::kLongestNumber), value);
    return *this;
  }
  [[gnu::always_inline]] JsonObject& boolean(std::string_view name, bool value) {
    return raw(name, value ? "true" : "false");
  }
  // A value that is already JSON.
  [[gnu::always_inline]] JsonObject& raw(std::string_view name, std::string_view json) {
    end(begin_member(name, json.size()).text(json));
    return *this;
  }
  // Whole members, each with a comma before it.
  JsonObject& members(std::string_view json) {
    end(room(json.size()).text(json));
    return *this;
  }

  // The finished object, in a string of just its size; call it last.
  std::string take();

 private:
  // Enough for nearly all objects, so that writing one allocates nothing.
  static constexpr std::size_t kUsualSize = 512;

  // Ends where the value goes, with room for that.
  [[gnu::always_inline]] TextWriter begin_member(std::string_view name, std::size_t value_size) {
    return room(name.size() + value_size + 4).text(",\"").text(name).text("\":");
  }
  [[gnu::always_inline]] TextWriter room(std::size_t more) {
    if (size_ - length_ < more) grow(more);
    return TextWriter(written() + length_);
  }
  char* written() { return size_ == kUsualSize ? usual_.data() : longer_.data(); }
  void grow(std::size_t more);
  void write_text(TextWriter to, std::string_view value);
  void write_number(TextWriter to, std::int64_t value);
  void end(const TextWriter& writer) { length_ = static_cast<std::size_t>(writer.end() - written()); }

  // What is written, and room for more: all members with a comma before each, of which the first becomes the brace.
  std::array<char, kUsualSize> usual_;
  std::string longer_;  // used instead once that is too small
  std::size_t size_ = kUsualSize;
  std::size_t length_ = 0;  // of what is written
};

}  // namespace sharedlock
