#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sharedlock/boot_clock.h"
#include "sharedlock/error.h"

namespace sharedlock::client {

// One lock, or several of one namespace, all or none, and the instance that asks for them. A client that knows the
// instance can act as the holder: use a fresh random one for each acquisition, see random_instance().
struct Names {
  std::string namespace_name = "default";  // the namespace
  std::vector<std::string> names;
  std::string instance;
};
// 128 random bits, hexadecimal.
SHAREDLOCK_API std::string random_instance();

// What a grant or renewal says.
struct Grant {
  std::string owner;                 // as the server knows the caller; empty for sets
  std::vector<std::int64_t> tokens;  // fencing tokens, [i] of names[i]
  std::int64_t expiry = 0;           // seconds since 1970: for people
  std::chrono::seconds ttl{};        // counted from `sent`, the lock is safe for so long
  BootClock::time_point sent;        // the sending of the request that was answered
};

// A lock and its holder.
struct LockState {
  bool held = false;
  std::string owner;
  std::int64_t expiry = 0;
  std::int64_t token = 0;
  std::int64_t waiters = 0;
};

struct Verdict {
  bool valid = false;
  std::int64_t current = 0;  // the present holder's token; 0: nobody holds it
};

// Of the lease API.
struct LeaseGrant {
  std::int64_t id = 0;
  std::int64_t token = 0;
  std::chrono::seconds ttl{};
  BootClock::time_point sent;
};
struct LeaseState {
  bool held = false;
  std::string value;
  std::chrono::seconds ttl{};  // left
  std::int64_t token = 0;
};

// How long an acquire or grant waits in line; the longest that there is: for ever.
using Wait = std::chrono::seconds;
inline constexpr Wait kForEver = Wait::max();

}  // namespace sharedlock::client
