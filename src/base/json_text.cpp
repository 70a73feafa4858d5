#include "base/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

#include "base/hex.h"
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
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_plain) - text.begin());
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
  this->name(name);
  if (plain_length(value) == value.size()) {
    append("\"");
    append(value);
    append("\"");
  } else {
    json_.resize(length_);
    append_json_string(json_, value);
    length_ = json_.size();
  }
  return *this;
}

JsonObject& JsonObject::number(std::string_view name, std::int64_t value) {
  this->name(name);
  char digits[24];
  append(std::string_view(digits, std::to_chars(digits, digits + sizeof digits, value).ptr));
  return *this;
}

JsonObject& JsonObject::boolean(std::string_view name, bool value) {
  return raw(name, value ? "true" : "false");
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
  this->name(name);
  append(json);
  return *this;
}

JsonObject& JsonObject::members(std::string_view json) {
  append(length_ == 1 && !json.empty() ? json.substr(1) : json);
  return *this;
}

void JsonObject::name(std::string_view name) {
  append(length_ > 1 ? ",\"" : "\"");
  append(name);
  append("\":");
}

}  // namespace sharedlock
