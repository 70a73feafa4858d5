#include "api/flat_object.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <limits>

#include "base/json_text.h"

namespace sharedlock {

namespace {

namespace json = boost::json;
using Code = boost::system::error_code;

// Receives what Boost.JSON's parser finds, without building a document. Signatures and the constants are those that
// basic_parser asks for.
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
    if (depth_ == 1 && body.kind == JsonKind::object) body.members.emplace_back().name = std::move(text_);
    if (depth_ == 2) key_ = std::move(text_);
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, Code&) { return gather(part); }
  bool on_string(json::string_view part, std::size_t, Code&) {
    gather(part);
    if (depth_ == 2) add_to_map();
    begin_value(JsonKind::string);
    if (member_value()) body.members.back().text = std::move(text_);
    if (item_value() && body.members.back().length <= kMostJsonItems) {
      body.members.back().items.back().text = std::move(text_);
    }
    text_.clear();
    return true;
  }
  bool on_number_part(json::string_view part, Code&) { return gather(part); }
  bool on_int64(std::int64_t value, json::string_view, Code&) { return on_integer(value); }
  bool on_uint64(std::uint64_t, json::string_view, Code&) { return on_integer(kLargest); }
  bool on_double(double value, json::string_view part, Code&) {
    gather(part);
    bool digits_only = text_.find_first_not_of("-0123456789") == std::string::npos;
    if (digits_only) return on_integer(value < 0 ? std::numeric_limits<std::int64_t>::min() : kLargest);
    text_.clear();
    return begin_value(JsonKind::number);
  }
  bool on_bool(bool, Code&) { return begin_value(JsonKind::boolean); }
  bool on_null(Code&) { return begin_value(JsonKind::null); }
  bool on_comment_part(json::string_view, Code&) { return true; }
  bool on_comment(json::string_view, Code&) { return true; }

 private:
  static constexpr std::size_t kUsualMembers = 4;
  static constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

  bool member_value() const { return depth_ == 1 && body.kind == JsonKind::object; }

  bool item_value() const {
    return depth_ == 2 && !body.members.empty() && body.members.back().kind == JsonKind::array;
  }

  bool gather(std::string_view part) {
    text_ += part;
    return true;
  }

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

  bool on_integer(std::int64_t value) {
    text_.clear();
    begin_value(JsonKind::integer);
    if (member_value()) body.members.back().integer = value;
    return true;
  }

  void add_to_map() {
    if (body.members.empty() || !body.members.back().maps_strings) return;
    std::string& map = body.members.back().text;
    map += map.empty() ? '{' : ',';
    append_json_string(map, key_);
    map += ':';
    append_json_string(map, text_);
  }

  void close_map() {
    if (body.members.empty() || !body.members.back().maps_strings) return;
    std::string& map = body.members.back().text;
    map += map.empty() ? "{}" : "}";
  }

  int depth_ = 0;
  std::string text_;  // of the key, string or number under way
  std::string key_;   // within an object that is a member's value
};

std::string describe(std::string_view body, std::size_t at) {
  constexpr std::size_t kExcerpt = 20;
  at = std::min(at, body.size());
  std::string excerpt(body.substr(at, kExcerpt));
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

Result<JsonBody> parse_json_body(std::string_view body) {
  json::parse_options options;
  options.max_depth = 100;
  json::basic_parser<BodyHandler> parser(options);
  Code bad;
  std::size_t read = parser.write_some(false, body.data(), body.size(), bad);
  if (!bad && read < body.size()) bad = json::error::extra_data;
  if (bad) return Error{Errc::invalid_argument, describe(body, read)};
  return std::move(parser.handler().body);
}

}  // namespace sharedlock
