#pragma once

#include <string_view>

namespace sharedlock {

// As the project's CMakeLists.txt states it.
inline constexpr std::string_view kVersion = SHAREDLOCK_VERSION;

}  // namespace sharedlock
