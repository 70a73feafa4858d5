#pragma once

#include <string>
#include <string_view>

namespace sharedlock {

// What counts of a setting's value, wherever it was given: env files and secrets are often written with a line end or
// spaces around it, which no value has.
std::string trimmed(std::string_view value);

// Whether it has no control characters: what is left between the ends of a value must be one line.
bool is_one_line(std::string_view value);

// The variable's value, trimmed; "" where it is not set: that means the same. To be called while nothing changes the
// environment.
std::string environment_value(const char* name);

}  // namespace sharedlock
