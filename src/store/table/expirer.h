#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "store/table/lease_table.h"

namespace sharedlock {

// Ends a table's expired leases, on a separate thread, for stores that keep their state in this process.
class Expirer {
 public:
  // Ends one lease that is due; false when there is none. Called with `mutex` held, which guards the table. All of
  // these must outlive the Expirer.
  using ExpireOne = std::function<bool(BootTime now)>;

  Expirer(Clock& clock, std::mutex& mutex, const LeaseTable& table, ExpireOne expire_one);
  Expirer(const Expirer&) = delete;
  Expirer& operator=(const Expirer&) = delete;
  ~Expirer();  // not with the mutex held

  // Ends leases that are due. Call it with the mutex held before reading the table, so that expired entries are not
  // found. Bounded, since other threads wait: the next call, or this object's thread, ends the rest. Returns the time
  // that it went by.
  BootTime expire_some();

  // Call it with the mutex held after a change: a lease may now end earlier than the thread expects.
  void look_again();

 private:
  void run();

  Clock& clock_;
  std::mutex& mutex_;
  const LeaseTable& table_;
  const ExpireOne expire_one_;
  std::condition_variable wake_;
  bool stopping_ = false;
  BootTime sleeps_until_ = BootTime::min();
  std::thread thread_;
};

}  // namespace sharedlock
