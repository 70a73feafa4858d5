#pragma once

#include <string>
#include <string_view>

namespace sharedlock {

// SHA-256 (FIPS 180-4) of the bytes, in 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

}  // namespace sharedlock
