#pragma once

#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sharedlock {

enum class JsonKind { string, integer, number, boolean, null, object, array };

// "string", "integer", ...: the words of JSON Schema.
std::string_view name_of(JsonKind kind);

// One element of an array.
struct JsonItem {
  JsonKind kind = JsonKind::null;
  std::string_view text;  // a string's value

  bool operator==(const JsonItem&) const = default;
};

// One member of a JSON object. A number is an `integer` when it is written as digits alone.
struct JsonMember {
  std::string_view name;
  JsonKind kind = JsonKind::null;
  std::string_view text;  // a string's value; for an object that maps names to strings: the same as JSON text
  // The value of an integer, and of a `number` without a fraction: to JSON Schema 30.0 and 3e1 are integers too. It is
  // exact; beyond 64 bits it is clamped to the smallest or largest value.
  std::optional<std::int64_t> integer;
  bool maps_strings = false;    // of an object: every value in it is a string or null
  std::vector<JsonItem> items;  // of an array: the first kMostJsonItems
  std::size_t length = 0;       // of an array

  bool operator==(const JsonMember&) const = default;
};

inline constexpr std::size_t kMostJsonItems = 64;

// A request body: a JSON object, read one level deep (maps and lists of strings two; deeper levels are checked but not
// kept), or some other JSON value, of which only the kind is known. Its texts are views: into the text that was read,
// which must live as long, and into `decoded`. It can be moved, but not copied.
struct JsonBody {
  JsonKind kind = JsonKind::null;
  std::vector<JsonMember> members;         // in text order; names may repeat
  std::forward_list<std::string> decoded;  // texts that do not stand in the body as they are read, in no order

  JsonBody() = default;
  JsonBody(JsonBody&&) = default;
  JsonBody& operator=(JsonBody&&) = default;

  bool operator==(const JsonBody& other) const { return kind == other.kind && members == other.members; }
};

// Reads one JSON text (RFC 8259) that fills all of `text`, in UTF-8 without a byte order mark, nested at most 100 deep.
// invalid_argument: "body is not JSON at byte 1: 'the text there'", with `?` for anything but printable ASCII.
//
// An ordinary body is read by scan_flat() of flat_scan.h, anything else by parse_json_strictly(), which alone says what
// is wrong. A temporary string would not live as long as the views into it.
Result<JsonBody> parse_json_body(std::string_view text);
Result<JsonBody> parse_json_body(std::string&&) = delete;
Result<JsonBody> parse_json_strictly(std::string_view text);

}  // namespace sharedlock
