#pragma once

#include <cstddef>
#include <cstdint>
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
  std::string text;  // a string's value
};

// One member of a JSON object. A number is an `integer` when it is written as digits alone.
struct JsonMember {
  std::string name;
  JsonKind kind = JsonKind::null;
  std::string text;  // a string's value; for an object that maps names to strings: the same as JSON text
  // The value of an integer, and of a `number` without a fraction: to JSON Schema 30.0 and 3e1 are integers too. It is
  // exact; beyond 64 bits it is clamped to the smallest or largest value.
  std::optional<std::int64_t> integer;
  bool maps_strings = false;    // of an object: every value in it is a string or null
  std::vector<JsonItem> items;  // of an array: the first kMostJsonItems
  std::size_t length = 0;       // of an array
};

inline constexpr std::size_t kMostJsonItems = 64;

// A request body: a JSON object, read one level deep (maps and lists of strings two; deeper levels are checked but not
// kept), or some other JSON value, of which only the kind is known.
struct JsonBody {
  JsonKind kind = JsonKind::null;
  std::vector<JsonMember> members;  // in text order; names may repeat
};

// Reads one JSON text (RFC 8259) that fills all of `body`, in UTF-8 without a byte order mark, nested at most 100 deep.
// invalid_argument: "body is not JSON at byte 1: 'the text there'", with `?` for anything but printable ASCII.
Result<JsonBody> parse_json_body(std::string_view body);

}  // namespace sharedlock
