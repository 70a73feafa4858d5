#pragma once

namespace sharedlock {

// The digits of hexadecimal numbers: lower case everywhere.
inline constexpr char kHexDigits[] = "0123456789abcdef";

}  // namespace sharedlock
