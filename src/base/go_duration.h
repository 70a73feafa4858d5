#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace sharedlock {

// Go's duration syntax (time.ParseDuration): an optional sign, then one or more decimal numbers, each with an optional
// fraction and a unit out of ns, us, µs (both spellings of µ), ms, s, m, h: "300ms", "-1.5h", "1m30s"; or "0" alone.
// Returns nothing for anything else, and for values that do not fit an int64 of nanoseconds (about 292 years).
std::optional<std::chrono::nanoseconds> parse_go_duration(std::string_view text);

// The inverse, as Go prints it: "10s", "1m30s", "1.5s", "300ms", "0s".
std::string to_go_duration(std::chrono::nanoseconds duration);

}  // namespace sharedlock
