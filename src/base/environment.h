#pragma once

#include <string>
#include <string_view>

namespace sharedlock {

// A setting's value without surrounding white space, wherever it was given: env files and secrets are often written
// with a line end or spaces around it, which no value has.
std::string trimmed(std::string_view value);

// Whether it has no control characters: a trimmed value must be one line.
bool is_one_line(std::string_view value);

// The variable's value, trimmed; "" when it is not set, which means the same. Call it only while nothing changes the
// environment.
std::string environment_value(const char* name);

}  // namespace sharedlock
