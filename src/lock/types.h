#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "queue/types.h"
#include "store/fencing_token.h"

namespace sharedlock {

// Wall-clock time in whole seconds since 1970 (UTC), as lock records store it.
using EpochSeconds = std::chrono::sys_seconds;

// One moment, on both clocks: what leases go by, and what lock records say.
struct Instant {
  WallTime wall;
  BootTime boot;

  EpochSeconds epoch() const { return std::chrono::floor<std::chrono::seconds>(wall); }
};

struct LockName {
  std::string namespace_name;  // the namespace
  std::string name;
};

// A lock is a caller's own when owner and instance both match. `instance` is a pseudo-secret: any client that knows it
// can act as the holder, so it is neither shown to others nor logged.
struct Holder {
  std::string owner;
  std::string instance;
  // Only in records: the owner is null there, as LockServiceCentral writes it for a token without `sub`. Then `owner`
  // is empty, and the holder equals no caller of ours, since every caller has an owner.
  bool ownerless = false;

  bool operator==(const Holder&) const = default;
};

// Several locks of one namespace that are taken, renewed or released together, all or none.
struct LockSet {
  std::string namespace_name;
  std::vector<std::string> names;  // 1 to kMostInSet, all different
};

// The longest that a lock may be held without being renewed.
inline constexpr std::chrono::seconds kLongestLeaseDuration{86400};

// `received`: when the server began to handle the request; deadlines and the answered ttl count from there.
struct AcquireRequest {
  LockName lock;
  Holder holder;
  std::chrono::seconds duration;  // 1 s to kLongestLeaseDuration
  BootTime received;
  std::chrono::seconds wait{};        // in a queue, at most kLongestWait
  std::chrono::seconds keep_place{};  // after a hang-up or when the time is up, at most kLongestKeptPlace
  WhenDisconnected when_disconnected = nullptr;
};

enum class RenewFrom {
  expiry,  // it ends the duration after its present end
  now,     // it ends the duration from now, but never before its present end
};

struct RenewRequest {
  LockName lock;
  Holder holder;
  std::chrono::seconds duration;  // 1 s to kLongestLeaseDuration
  RenewFrom from = RenewFrom::expiry;
  std::optional<FencingToken> token;  // given: must be the present one
  BootTime received;
};

struct ReleaseRequest {
  LockName lock;
  Holder holder;
  std::optional<FencingToken> token;  // given: must be the present one
  BootTime received;
};

}  // namespace sharedlock
