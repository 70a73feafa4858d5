#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/options.h"

namespace sharedlock::config {

// Parses `text` (not empty, no spaces around it) into the option's field of `settings`, by the field's type:
//   bool            true, false, t, f, 1, 0, yes, no, on, off; any case
//   uint16_t        a port, 0 to 65535
//   uint64_t        a number within the option's bounds
//   nanoseconds     a duration in Go's syntax ("1m30s") or a bare number of seconds; not negative
//   seconds (Ttl)   likewise, of whole seconds, within bounds
//   milliseconds    a bare number of milliseconds, within bounds
//   string, paths   anything without control characters
//   strings         comma-separated; spaces around items and empty items don't count; at least one item
//   enums           one of their words; any case
// Otherwise returns what it must be, as in "must be true or false", and leaves `settings` as it was.
std::optional<std::string> assign(const Option& option, std::string_view text, Settings& settings);

// The field as a text that assign() accepts, "" for an empty one. Includes secrets: not for display.
std::string value_text(const Option& option, const Settings& settings);

// The field for display: "(none)" for an empty one, "(secret)" for a secret that is set.
std::string shown_value(const Option& option, const Settings& settings);

// True when the flag may stand without a value: `--debug` is `--debug=true`.
bool is_switch(const Option& option);

// The kind of value, for `--flag VALUE` in help texts: "PORT", "DURATION", "etcd|embedded|memory|mock", ...
std::string value_word(const Option& option);

}  // namespace sharedlock::config
