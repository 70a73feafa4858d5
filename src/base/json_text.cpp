#include "base/json_text.h"

#include <array>
#include <cstddef>
#include <cstdint>

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

std::string JsonObject::take() {
  if (length_ == 0) return "{}";
  end(room(1).text("}"));
  *written() = '{';
  return std::string(written(), length_);
}

void JsonObject::write_text(TextWriter to, std::string_view value) {
  if (plain_length(value) == value.size()) return end(to.text("\"").text(value).text("\""));
  end(to);
  std::string escaped;
  append_json_string(escaped, value);
  end(room(escaped.size()).text(escaped));
}

void JsonObject::write_number(TextWriter to, std::int64_t value) {
  end(to.number(value));
}

void JsonObject::grow(std::size_t more) {
  std::size_t size = 2 * size_ + more;
  if (size_ == kUsualSize) longer_.assign(usual_.data(), length_);
  longer_.resize(size);
  size_ = size;
}

}  // namespace sharedlock
