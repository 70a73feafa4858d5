#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace sharedlock {

// The time line of CLOCK_BOOTTIME: never set, never stopped while the machine sleeps (steady_clock stands still then).
// It has no now(): time comes from an injected Clock, so that tests can move it.
struct BootTimeline {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootTimeline>;
  static constexpr bool is_steady = true;
};
using BootTime = BootTimeline::time_point;
using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

// How long a lease lives without renewal: whole seconds, as in etcd.
using Ttl = std::chrono::seconds;

// `from` + `span`, but never past the end of the time line (9,000,000,000 s in nanoseconds nearly fill an int64).
BootTime saturating_add(BootTime from, std::chrono::seconds span);

// How long an answer is of use to the caller. Passed down by value; no wait may last longer.
struct Deadline {
  BootTime at;

  static constexpr Deadline never() { return {BootTime::max()}; }
};

// The source of all time in the server. Thread-safe. Must outlive every object that holds a reference to it.
class Clock {
 public:
  virtual ~Clock() = default;

  // CLOCK_BOOTTIME: the clock for leases, deadlines and waits.
  virtual BootTime boot_now() const = 0;

  // The wall clock (UTC): for display and for the seconds that a lock record stores; never for deciding that another
  // holder's lock has ended.
  virtual WallTime wall_now() const = 0;

  // Blocks on `wake`, with `lock` held by the caller, until `until`, until `wake` is notified, or for some shorter
  // time: call it in a loop that checks again. For background threads, never for an I/O thread.
  virtual void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake, BootTime until) = 0;
};

// The kernel's clocks.
class SystemClock final : public Clock {
 public:
  BootTime boot_now() const override;
  WallTime wall_now() const override;
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake, BootTime until) override;
};

}  // namespace sharedlock
