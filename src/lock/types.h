#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
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
  std::string space;  // the namespace
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
  std::string space;
  std::vector<std::string> names;  // 1 to kMostInSet, all different
};
inline constexpr std::size_t kMostInSet = 32;

// The longest that a lock may be held without being renewed.
inline constexpr std::chrono::seconds kLongestLeaseDuration{86400};

// The longest that a request may wait in line.
inline constexpr std::chrono::seconds kLongestWait{3600};

// The longest that a place in line may be kept while its client is away (R37).
inline constexpr std::chrono::seconds kLongestKeptPlace{10};
// And the longest once it is that client's turn.
inline constexpr std::chrono::seconds kAwayAtHead{1};

// How waiting in line ended without a grant or a refusal.
enum class WaitEnd {
  superseded,  // the same holder asked again, and that request counts
  draining,    // the server shuts down
  store_lost,  // the store serves nothing for now
  hung_up,     // the client no longer waits for the answer
};

// Registers a callback for when the waiting client hangs up. It is called on the executor of the request's coroutine,
// maybe at once.
using WhenHungUp = std::function<void(std::function<void()> told)>;

// `received`: when the server began to handle the request; deadlines and the answered ttl count from there.
struct AcquireRequest {
  LockName lock;
  Holder holder;
  std::chrono::seconds duration;  // 1 s to kLongestLeaseDuration
  BootTime received;
  std::chrono::seconds wait{};        // in line, at most kLongestWait
  std::chrono::seconds keep_place{};  // after a hang-up or when the time is up, at most kLongestKeptPlace
  WhenHungUp when_hung_up = nullptr;
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
