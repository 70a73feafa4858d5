#include "base/random.h"

#include <sys/random.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/hex.h"

namespace sharedlock {

namespace {

// getrandom() returns up to 256 bytes whole and uninterrupted; one system call serves 32 numbers.
struct Block {
  std::array<std::uint64_t, 32> bits;
  std::size_t used = 32;
};

}  // namespace

std::uint64_t random_bits() {
  thread_local Block block;
  if (block.used == block.bits.size()) {
    if (::getrandom(block.bits.data(), sizeof block.bits, 0) != ssize_t{sizeof block.bits}) {
      std::fputs("shared-lock: the kernel gives no random numbers (getrandom failed)\n", stderr);
      std::abort();
    }
    block.used = 0;
  }
  return block.bits[block.used++];
}

RandomHex random_hex() {
  std::uint64_t bits = random_bits();
  RandomHex digits;
  for (char& digit : digits) {
    digit = kHexDigits[bits & 0xF];
    bits >>= 4;
  }
  return digits;
}

std::string random_uuid() {
  std::uint64_t high = (random_bits() & ~0xF000ull) | 0x4000ull;
  std::uint64_t low = (random_bits() & ~(3ull << 62)) | (2ull << 62);
  std::string uuid;
  uuid.reserve(36);
  for (int digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) uuid += '-';
    std::uint64_t half = digit < 16 ? high : low;
    uuid += kHexDigits[(half >> (60 - 4 * (digit % 16))) & 0xF];
  }
  return uuid;
}

}  // namespace sharedlock
