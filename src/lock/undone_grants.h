#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/retries.h"
#include "base/task.h"
#include "lock/lock_answers.h"
#include "lock/lock_keys.h"
#include "store/lease_store.h"

namespace sharedlock {

// Takes grants back in the background that no client may count on: it was gone before it could be told (R3), or too
// little is left of them (R7). Thread-safe. All that it is given must outlive it; its end waits for what runs, but
// tries nothing again.
class UndoneGrants {
 public:
  // `request_timeout`: of each try.
  UndoneGrants(std::chrono::milliseconds request_timeout, LeaseStore& store, Clock& clock, Log& log,
               const LockKeys& keys);

  // As LockService::take_back().
  void take_back(Executor executor, const LockGrant& grant);

 private:
  Task<bool> undo(std::string key, Revision grant);

  const std::chrono::milliseconds request_timeout_;
  LeaseStore& store_;
  Clock& clock_;
  const LockKeys& keys_;
  Retries retries_;
};

}  // namespace sharedlock
