#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/presence_hints.h"
#include "lock/lock_keys.h"
#include "lock/record_reader.h"
#include "lock/set_commits.h"
#include "lock/undone_grants.h"
#include "lock/written_locks.h"
#include "queue/wait_queues.h"
#include "store/lease_store.h"

namespace sharedlock {

struct LockServiceOptions {
  std::string key_prefix = "locks/";                // a lock lives at {key_prefix}{namespace}:{lockName}
  int max_retries = 3;                              // commits that lost their race are repeated this often
  std::chrono::milliseconds request_timeout{5000};  // for a whole request, counted from its `received`
};

// What requests for one lock and for sets are answered with, in the order in which each part needs those before it.
// Each is thread-safe. The store, the clock and the log must outlive it.
struct LockParts {
  LockParts(const LockServiceOptions& options, LeaseStore& the_store, Clock& the_clock, Log& log);

  Deadline deadline_for(BootTime begun) const { return {begun + request_timeout}; }

  const int max_retries;
  const std::chrono::milliseconds request_timeout;
  LeaseStore& store;
  Clock& clock;
  const LockKeys keys;
  RecordReader records;
  PresenceHints hints;
  WrittenLocks written;
  SetCommits set_commits;
  WaitQueues queues;
  UndoneGrants undone;
};

}  // namespace sharedlock
