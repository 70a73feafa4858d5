#include "base/environment.h"

#include <algorithm>
#include <cstdlib>

namespace sharedlock {

std::string trimmed(std::string_view value) {
  constexpr std::string_view kSpaces = " \t\r\n";
  value = value.substr(0, value.find_last_not_of(kSpaces) + 1);
  value.remove_prefix(std::min(value.size(), value.find_first_not_of(kSpaces)));
  return std::string(value);
}

bool is_one_line(std::string_view value) {
  return std::ranges::none_of(value, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

std::string environment_value(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? trimmed(value) : std::string();
}

}  // namespace sharedlock
