#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace sharedlock {

// 64 bits from the kernel's cryptographic generator, drawn in blocks per thread: fit for ids that must be unguessable.
// Thread-safe. Aborts if the kernel provides no random numbers.
std::uint64_t random_bits();

// The same 64 bits as 16 hex digits.
using RandomHex = std::array<char, 16>;
RandomHex random_hex();

// A random (version 4) UUID, as in "1b4e28ba-2fa1-41d2-883f-0016d3cca427".
std::string random_uuid();

}  // namespace sharedlock
