#include "base/sha256.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "base/hex.h"

namespace sharedlock {

namespace {

struct Free {
  void operator()(EVP_MD* algorithm) const { ::EVP_MD_free(algorithm); }
  void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
};

}  // namespace

// Without this, OpenSSL looks the algorithm up by name on each call, which takes longer than hashing a short text.
std::string sha256_hex(std::string_view bytes) {
  static const std::unique_ptr<EVP_MD, Free> algorithm(::EVP_MD_fetch(nullptr, "SHA256", nullptr));
  thread_local const std::unique_ptr<EVP_MD_CTX, Free> context(::EVP_MD_CTX_new());
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  bool done = algorithm && context && ::EVP_DigestInit_ex2(context.get(), algorithm.get(), nullptr) == 1 &&
              ::EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
              ::EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
  if (!done) std::abort();  // an OpenSSL without SHA-256, or no memory
  std::string hex;
  hex.reserve(2 * digest.size());
  for (unsigned char byte : digest) {
    hex += kHexDigits[byte >> 4];
    hex += kHexDigits[byte & 15];
  }
  return hex;
}

}  // namespace sharedlock
