#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "lock/lock_record.h"

namespace sharedlock {

// How far the wall clocks of those who write lock records are from ours, as far as their records show it (R10). No
// decision rests on it: it is for those who look after the clocks. Records that never expire, as other programs write
// them, show nothing. Thread-safe, and nearly free while clocks agree.
class ClockDifference {
 public:
  // A record was read that may have stood there for long. It shows a clock that is ahead when it begins in the future,
  // and one that is behind when it is well past its expiry though its lease (`leased`) lives.
  // Returned: the first difference that shows for certain, once, to be told to those who look after the clocks. (A
  // record past its expiry may also be one whose lease a new leader of etcd made longer.)
  std::optional<std::chrono::seconds> read(const LockRecord& record, bool leased, Instant now);

  // A record of another holding was written during this very request: it shows every difference.
  std::optional<std::chrono::seconds> just_written(const LockRecord& record, Instant now);

  // In seconds, the largest of the last five to ten minutes; positive: theirs is ahead of ours. Below 2 s: 0.
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
