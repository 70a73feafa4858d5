#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace sharedlock {

// Grows with every new holding of a lock. A resource that remembers the largest one it has seen can refuse a client
// that believes in a lock which it has lost.
enum class FencingToken : std::int64_t {};
constexpr std::int64_t number_of(FencingToken token) {
  return static_cast<std::int64_t>(token);
}

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

// A lock is mine when both are mine. `instance` is a pseudo-secret: whoever knows it can act as the holder, so it is
// neither shown to others nor logged.
struct Holder {
  std::string owner;
  std::string instance;
  // Of a record alone, whose owner is null: LockServiceCentral writes that for a token without `sub`. Then `owner` is
  // empty, and this is nobody who asks here, where every caller has an owner.
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

// The longest that anybody may wait in line.
inline constexpr std::chrono::seconds kLongestWait{3600};

// How long a place in line may be kept for one whose client is away (R37).
inline constexpr std::chrono::seconds kLongestKeptPlace{10};
// And at most so long where its client would have had its turn.
inline constexpr std::chrono::seconds kAwayAtHead{1};

// How waiting in line ended without a grant or a refusal.
enum class WaitEnd {
  superseded,  // the same holder asked again, and that request counts
  draining,    // the server ends
  store_lost,  // the store serves nothing for now
  hung_up,     // nobody waits for the answer
};

// Has what it is given called when the client that waits has hung up: on the executor of the request's coroutine, maybe
// at once.
using WhenHungUp = std::function<void(std::function<void()> told)>;

// `received`: when the server began to handle the request; deadlines and the answered ttl count from there.
struct AcquireRequest {
  LockName lock;
  Holder holder;
  std::chrono::seconds duration;  // 1 s to kLongestLeaseDuration
  BootTime received;
  std::chrono::seconds wait{};        // in line, at most kLongestWait
  std::chrono::seconds keep_place{};  // its place, after a hang-up or when the time is up, at most kLongestKeptPlace
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
