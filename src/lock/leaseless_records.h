#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "store/lease_store.h"

namespace sharedlock {

// Lock records without a lease, written by hand or by a broken program, which would never end. Remembers since when
// this process has seen each of them unchanged (R10). Thread-safe.
class LeaselessRecords {
 public:
  // Such a record is seen at `revision` now. Returns for how long it is known to have stood there unchanged.
  std::chrono::nanoseconds seen(const std::string& key, Revision revision, BootTime now);

 private:
  struct Sighting {
    Revision revision;
    BootTime since;
  };

  std::mutex mutex_;
  std::unordered_map<std::string, Sighting> first_seen_;
};

}  // namespace sharedlock
