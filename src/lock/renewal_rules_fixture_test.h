#pragma once

// Locks, their renewals, and what was decided, as tests of the rules say them.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <variant>

#include "lock/rules.h"

namespace sharedlock::renewals {

using std::chrono::nanoseconds;
using std::chrono::seconds;

inline constexpr LeaseId kLease{11};
inline const LockName kLock{"space", "name"};
inline const Holder kMe{"owner", "instance"};

// The moment `since` the beginning of a test, where the wall clock is off by `skew`.
inline Instant at(nanoseconds since, nanoseconds skew = {}) {
  return {WallTime(seconds(1'735'689'600)) + since + skew, BootTime(seconds(1000)) + since};
}

inline RenewRequest renewal(seconds duration, RenewFrom from = RenewFrom::now) {
  return {kLock, kMe, duration, from, std::nullopt, BootTime{}};
}

inline WriteRecord write_of(const Decision& decision) {
  EXPECT_TRUE(std::holds_alternative<WriteRecord>(decision)) << "decision number " << decision.index();
  return std::holds_alternative<WriteRecord>(decision) ? std::get<WriteRecord>(decision) : WriteRecord{};
}

// As it stands after that write, to the server that made it.
inline HeldLock written(const WriteRecord& write) {
  return {.record = write.record, .token = FencingToken{7}, .revision = Revision{9}, .lease = kLease, .end = write.end};
}

// The same to another server, which was told how long the lease lives: in whole seconds.
inline HeldLock seen_elsewhere(const WriteRecord& write, BootTime lease_ends, Instant now) {
  HeldLock lock = written(write);
  auto left = std::chrono::floor<seconds>(lease_ends - now.boot);
  lock.end = PresentEnd{now.boot + left, now.boot + left + seconds(1)};
  return lock;
}

inline HeldLock acquired(seconds duration, Instant now) {
  AcquireRequest request{kLock, kMe, duration, now.boot};
  return written(write_of(decide_acquire(request, std::nullopt, now)));
}

inline BootTime end_of(const WriteRecord& write) {
  auto* until = std::get_if<PooledUntil>(&write.lifetime);
  EXPECT_TRUE(until) << "it keeps its lease";
  return until ? until->end : BootTime{};
}

inline bool keeps_its_lease(const WriteRecord& write) {
  auto* keep = std::get_if<KeepLease>(&write.lifetime);
  return keep && keep->id == kLease;
}

}  // namespace sharedlock::renewals
