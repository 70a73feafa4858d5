#include "api/flat_object.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "api/flat_scan.h"
#include "base/json_text.h"

namespace sharedlock {

namespace {

namespace json = boost::json;
using Code = boost::system::error_code;

constexpr std::int64_t kLargestInteger = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSmallestInteger = std::numeric_limits<std::int64_t>::min();

// The digits of an exponent; one larger than any body needs counts as some such exponent.
std::int64_t exponent_of(std::string_view text) {
  constexpr std::int64_t kEnough = 1'000'000'000;
  bool negative = text.starts_with('-');
  std::int64_t exponent = 0;
  for (char c : text) {
    if (c != '-' && c != '+') exponent = std::min(kEnough, exponent * 10 + (c - '0'));
  }
  return negative ? -exponent : exponent;
}

// The exact value of a JSON number's text, if it is an integer; beyond 64 bits it is clamped.
std::optional<std::int64_t> integer_of(std::string_view number) {
  constexpr std::size_t kMostDigits = 19;  // of a 64-bit integer
  bool negative = number.starts_with('-');
  auto e = std::min(number.find_first_of("eE"), number.size());
  std::int64_t scale = e < number.size() ? exponent_of(number.substr(e + 1)) : 0;
  std::string_view written = number.substr(0, e);
  if (auto point = written.find('.'); point != std::string_view::npos) {
    scale -= static_cast<std::int64_t>(written.size() - point - 1);
  }
  std::string digits;  // the value is these digits times ten to the power of `scale`
  std::ranges::copy_if(written, std::back_inserter(digits), [](char c) { return c >= '0' && c <= '9'; });
  digits.erase(0, digits.find_first_not_of('0'));
  if (digits.empty()) return 0;
  while (digits.back() == '0') {
    digits.pop_back();
    ++scale;
  }
  if (scale < 0) return std::nullopt;
  std::int64_t beyond = negative ? kSmallestInteger : kLargestInteger;
  if (digits.size() > kMostDigits || scale > static_cast<std::int64_t>(kMostDigits - digits.size())) return beyond;
  digits.append(static_cast<std::size_t>(scale), '0');
  std::uint64_t value = 0;
  for (char c : digits) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  if (value > static_cast<std::uint64_t>(kLargestInteger)) return beyond;
  return negative ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
}

// Receives the events of Boost.JSON's parser, without building a document. basic_parser prescribes the signatures and
// the constants.
class BodyHandler {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = max_object_size;
  static constexpr std::size_t max_key_size = max_object_size;
  static constexpr std::size_t max_string_size = max_object_size;

  JsonBody body;

  BodyHandler() { body.members.reserve(kUsualMembers); }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) {
    begin_value(JsonKind::object);
    if (depth_ == 1 && !body.members.empty()) body.members.back().maps_strings = true;
    if (depth_ == 1) map_.clear();
    ++depth_;
    return true;
  }
  bool on_object_end(std::size_t, Code&) {
    --depth_;
    if (depth_ == 1) close_map();
    return true;
  }
  bool on_array_begin(Code&) {
    begin_value(JsonKind::array);
    ++depth_;
    return true;
  }
  bool on_array_end(std::size_t, Code&) {
    --depth_;
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, Code&) { return gather(part); }
  bool on_key(json::string_view part, std::size_t, Code&) {
    gather(part);
    if (depth_ == 1 && body.kind == JsonKind::object) body.members.emplace_back().name = keep(text_);
    if (depth_ == 2) key_ = std::move(text_);
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, Code&) { return gather(part); }
  bool on_string(json::string_view part, std::size_t, Code&) {
    gather(part);
    if (depth_ == 2) add_to_map();
    begin_value(JsonKind::string);
    if (member_value()) body.members.back().text = keep(text_);
    if (item_value() && body.members.back().length <= kMostJsonItems) {
      body.members.back().items.back().text = keep(text_);
    }
    text_.clear();
    return true;
  }
  bool on_number_part(json::string_view part, Code&) { return gather(part); }
  bool on_int64(std::int64_t value, json::string_view, Code&) { return on_number(JsonKind::integer, value); }
  bool on_uint64(std::uint64_t, json::string_view, Code&) { return on_number(JsonKind::integer, kLargestInteger); }
  // The double is not exact, and infinite for 1e400: the text counts.
  bool on_double(double, json::string_view part, Code&) {
    gather(part);
    bool digits_only = text_.find_first_not_of("-0123456789") == std::string::npos;
    return on_number(digits_only ? JsonKind::integer : JsonKind::number, integer_of(text_));
  }
  bool on_bool(bool, Code&) { return begin_value(JsonKind::boolean); }
  bool on_null(Code&) { return begin_value(JsonKind::null); }
  bool on_comment_part(json::string_view, Code&) { return true; }
  bool on_comment(json::string_view, Code&) { return true; }

 private:
  static constexpr std::size_t kUsualMembers = 4;

  bool member_value() const { return depth_ == 1 && body.kind == JsonKind::object; }

  bool item_value() const {
    return depth_ == 2 && !body.members.empty() && body.members.back().kind == JsonKind::array;
  }

  bool gather(std::string_view part) {
    text_ += part;
    return true;
  }

  // Moves the text to where it stays as long as the body.
  std::string_view keep(std::string& text) { return body.decoded.emplace_front(std::move(text)); }

  bool begin_value(JsonKind kind) {
    if (depth_ == 0) body.kind = kind;
    if (member_value()) body.members.back().kind = kind;
    if (item_value() && body.members.back().length++ < kMostJsonItems) {
      body.members.back().items.push_back({kind, {}});
    }
    bool keeps_map = kind == JsonKind::string || kind == JsonKind::null;
    if (depth_ == 2 && !keeps_map && !body.members.empty()) body.members.back().maps_strings = false;
    return true;
  }

  bool on_number(JsonKind kind, std::optional<std::int64_t> value) {
    text_.clear();
    begin_value(kind);
    if (member_value()) body.members.back().integer = value;
    return true;
  }

  void add_to_map() {
    if (body.members.empty() || !body.members.back().maps_strings) return;
    map_ += map_.empty() ? '{' : ',';
    append_json_string(map_, key_);
    map_ += ':';
    append_json_string(map_, text_);
  }

  void close_map() {
    if (body.members.empty() || !body.members.back().maps_strings) return;
    map_ += map_.empty() ? "{}" : "}";
    body.members.back().text = keep(map_);
  }

  int depth_ = 0;
  std::string text_;  // of the current key, string or number
  std::string key_;   // inside an object that is a member's value
  std::string map_;   // that object as JSON text, as long as it maps names to strings
};

std::string describe(std::string_view text, std::size_t at) {
  constexpr std::size_t kExcerpt = 20;
  at = std::min(at, text.size());
  std::string excerpt(text.substr(at, kExcerpt));
  std::ranges::replace_if(excerpt, [](unsigned char c) { return c < 0x20 || c >= 0x7F; }, '?');
  return "body is not JSON at byte " + std::to_string(at + 1) + ": '" + excerpt + "'";
}

}  // namespace

std::string_view name_of(JsonKind kind) {
  switch (kind) {
    case JsonKind::string:
      return "string";
    case JsonKind::integer:
      return "integer";
    case JsonKind::number:
      return "number";
    case JsonKind::boolean:
      return "boolean";
    case JsonKind::null:
      return "null";
    case JsonKind::object:
      return "object";
    case JsonKind::array:
      return "array";
  }
  return "?";
}

Result<JsonBody> parse_json_body(std::string_view text) {
  if (auto body = scan_flat(text)) return *std::move(body);
  return parse_json_strictly(text);
}

Result<JsonBody> parse_json_strictly(std::string_view text) {
  json::parse_options options;
  options.max_depth = 100;
  json::basic_parser<BodyHandler> parser(options);
  Code bad;
  std::size_t read = parser.write_some(false, text.data(), text.size(), bad);
  if (!bad && read < text.size()) bad = json::error::extra_data;
  if (bad) return Error{Errc::invalid_argument, describe(text, read)};
  return std::move(parser.handler().body);
}

}  // namespace sharedlock
