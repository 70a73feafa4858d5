#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "lock/clock_skew.h"
#include "lock/leaseless_records.h"
#include "lock/lock_record.h"
#include "lock/types.h"
#include "queue/queue_state.h"
#include "store/lease_store.h"

namespace sharedlock {

// Reads the records of locks out of a store's entries, and remembers what they show beside the lock: since when a
// record without a lease has stood there, and how far the clocks of other writers are off. Thread-safe. The store, the
// clock and the log must outlive it.
class RecordReader {
 public:
  RecordReader(LeaseStore& store, Clock& clock, Log& log) : store_(store), clock_(clock), log_(log) {}

  // The lock that stands under that key; nothing where it is free. corrupt: the record can't be read; its key is in the
  // log.
  Result<std::optional<HeldLock>> read(const std::string& key, const std::optional<Entry>& entry);

  // What a queue has to know of a record: the lock's holder, and when its holding should have ended. Nothing where the
  // record can't be read.
  LockSight see(const Entry& entry) const;

  // When a queue is to look again at a lock: one with a lease ends with an event; one without may be
  // taken over when it has stood there long enough.
  std::optional<BootTime> look_again_at(const std::optional<HeldLock>& lock) const;

  // After a lost race: what stands there was written while we tried.
  void note_winner(const std::optional<Entry>& entry);

  // By how much the clocks of other writers of records seem to differ from ours: see ClockSkew.
  std::chrono::seconds clock_skew() const { return clock_skew_.largest(clock_.boot_now()); }

 private:
  Instant now() const { return {clock_.wall_now(), clock_.boot_now()}; }
  void report(std::optional<std::chrono::seconds> difference);

  LeaseStore& store_;
  Clock& clock_;
  Log& log_;
  LeaselessRecords leaseless_;
  ClockSkew clock_skew_;
};

}  // namespace sharedlock
