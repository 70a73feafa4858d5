#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "lock/lock_record.h"

namespace sharedlock {

// How far the wall clocks of other writers of lock records are from ours, as far as the records show it (R10). It is
// for operators: no decision rests on it. Records that never expire, as some other programs write them, show nothing.
// Thread-safe, and nearly free while clocks agree.
class ClockSkew {
 public:
  // A record was read that may be old. If it begins in the future, its writer's clock is ahead. If it is well past its
  // expiry though its lease (`leased`) lives, that clock is behind.
  // Returns the first difference that is certain, once, to be reported to operators. (A record past its expiry is not
  // certain: a new leader of etcd may have made its lease longer.)
  std::optional<std::chrono::seconds> read(const LockRecord& record, bool leased, Instant now);

  // A record of another holding was written during this very request, so it shows a difference in either direction.
  std::optional<std::chrono::seconds> just_written(const LockRecord& record, Instant now);

  // In seconds, the largest of the last five to ten minutes; positive: the other clock is ahead. Below 2 s: 0.
  std::chrono::seconds largest(BootTime now) const;

 private:
  void note(std::chrono::seconds difference, BootTime now);
  std::optional<std::chrono::seconds> tell_once(std::chrono::seconds difference);
  void turn_over(BootTime now) const;

  std::atomic<bool> any_ = false;  // something but 0 was ever noted
  std::atomic<bool> told_ = false;
  mutable std::mutex mutex_;
  mutable BootTime since_{};  // of the present span
  mutable std::chrono::seconds present_{0};
  mutable std::chrono::seconds before_{0};
};

}  // namespace sharedlock
