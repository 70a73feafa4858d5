#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "sharedlock/operations.h"

namespace sharedlock {

// Renews a lock on a thread of its own, at a third of its ttl, until it is lost or this object is destroyed.
class LockUpkeep {
 public:
  struct Events {
    std::function<void(const client::Grant&)> renewed;
    std::function<void()> lost;  // the server says so, or its time ran out without a renewal. Called once
    std::function<void(const std::string&)> trouble;  // for people: renewals get no answer, or get answers again
  };

  // The client of `operations` must outlive it. Events come on the thread.
  LockUpkeep(client::Operations operations, client::Names names, client::Grant grant, Events events);
  ~LockUpkeep();  // waits for a renewal in progress

 private:
  void run();
  bool sleep_until(client::BootClock::time_point due);

  client::Operations operations_;
  const client::Names names_;
  client::Grant grant_;
  const Events events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace sharedlock
