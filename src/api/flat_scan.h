#pragma once

#include <optional>
#include <string_view>

#include "api/flat_object.h"

namespace sharedlock {

// Reads an ordinary body in one pass: an object of a few members, which are strings, whole numbers from 0 on, `true`,
// `false`, `null` or arrays of strings; names and strings are ASCII without escapes, numbers have 64 bits at most.
//
// Nothing means "not ordinary": the text may be right or wrong, parse_json_strictly() says which. Whatever this reads,
// that reads as the same. All texts are views into `text`.
std::optional<JsonBody> scan_flat(std::string_view text);

}  // namespace sharedlock
