#pragma once

#include <mutex>
#include <string>

#include "store/etcd/lease/lease_key_counts.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdWatches;

// Tells without asking etcd that a key hangs on a lease (R4), from a watch of one prefix: the first that follow() gets,
// as long as that watch is live. Thread-safe.
class EtcdLeaseKeys {
 public:
  // The watches must outlive it.
  explicit EtcdLeaseKeys(EtcdWatches& watches) : watches_(watches) {}

  // False: unknown, so ask.
  bool hangs(LeaseId id, const std::string& under) const;

  // No effect once it follows one.
  void follow(const std::string& under);

  // This server has ended it, or may have.
  void forget(LeaseId id) { counts_.forget(id); }

  // Ends the watch.
  void stop();

 private:
  EtcdWatches& watches_;
  LeaseKeyCounts counts_;
  mutable std::mutex mutex_;
  std::string prefix_;  // empty: none yet
  Subscription feed_;   // the last member: its handler uses the counts
};

}  // namespace sharedlock
