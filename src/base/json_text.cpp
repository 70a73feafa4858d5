#include "base/json_text.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/hex.h"
#include "base/text_run.h"
#include "base/utf8.h"

namespace sharedlock {

namespace {

constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x7F; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

bool is_plain(char c) {
  return kPlain[static_cast<unsigned char>(c)];
}

// How many characters stand for themselves before the first that does not.
std::size_t plain_length(std::string_view text) {
  return run_length<is_plain, are_plain_in_json>(text);
}

char* put(char* to, std::string_view text) {
  return to + text.copy(to, text.size());
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHexDigits[(static_cast<unsigned char>(c) >> 4) & 0xF];
      out += kHexDigits[static_cast<unsigned char>(c) & 0xF];
  }
}

// One sequence of two or three bytes as \uXXXX.
void append_code_unit(std::string& out, std::string_view sequence) {
  unsigned unit = static_cast<unsigned char>(sequence[0]) & (sequence.size() == 2 ? 0x1F : 0x0F);
  for (char c : sequence.substr(1)) unit = unit << 6 | (static_cast<unsigned char>(c) & 0x3F);
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += kHexDigits[unit >> shift & 0xF];
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    std::size_t plain = plain_length(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (static_cast<unsigned char>(text[0]) < 0x80) {
      append_escaped(out, text[0]);
      text.remove_prefix(1);
      continue;
    }
    std::size_t length = utf8_length(text);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      text.remove_prefix(1);
      continue;
    }
    std::string_view sequence = text.substr(0, length);
    if (steers_display(sequence)) {
      append_code_unit(out, sequence);
    } else {
      out.append(sequence);
    }
    text.remove_prefix(length);
  }
  out += '"';
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

JsonObject& JsonObject::text(std::string_view name, std::string_view value) {
  char* to = begin_member(name, value.size() + 2);
  if (plain_length(value) == value.size()) {
    *to++ = '"';
    to = put(to, value);
    *to++ = '"';
    end(to);
    return *this;
  }
  end(to);
  std::string escaped;
  append_json_string(escaped, value);
  end(put(room(escaped.size()), escaped));
  return *this;
}

JsonObject& JsonObject::number(std::string_view name, std::int64_t value) {
  constexpr std::size_t kLongest = 20;  // of 64 bits
  char* to = begin_member(name, kLongest);
  end(std::to_chars(to, to + kLongest, value).ptr);
  return *this;
}

JsonObject& JsonObject::boolean(std::string_view name, bool value) {
  return raw(name, value ? "true" : "false");
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  end(put(begin_member(name, json.size()), json));
  return *this;
}

JsonObject& JsonObject::members(std::string_view json) {
  if (length_ == 1 && !json.empty()) json.remove_prefix(1);
  end(put(room(json.size()), json));
  return *this;
}

std::string JsonObject::take() {
  end(put(room(1), "}"));
  json_.resize(length_);
  return std::move(json_);
}

// Where its value goes, with room for that.
char* JsonObject::begin_member(std::string_view name, std::size_t value_size) {
  char* to = room(name.size() + value_size + 4);
  if (length_ > 1) *to++ = ',';
  *to++ = '"';
  to = put(to, name);
  *to++ = '"';
  *to++ = ':';
  return to;
}

char* JsonObject::room(std::size_t more) {
  if (json_.size() - length_ < more) json_.resize(2 * json_.size() + more);
  return json_.data() + length_;
}

}  // namespace sharedlock
