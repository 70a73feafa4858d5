#pragma once

#include <atomic>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "store/lease_store.h"
#include "store/shared_work.h"

namespace sharedlock {

class EtcdClient;
class EtcdLeasePool;

// The epoch of this server's writes: the revision of a key of its own in etcd, with which its transactions are
// compared. What was sent and not answered may be carried out much later, when a network is mended or a member wakes.
// Once the key was written again it no longer can: its epoch is over. Thread-safe. Everything that is handed in must
// outlive it, and it must outlive its calls.
class EtcdEpoch {
 public:
  EtcdEpoch(EtcdClient& client, EtcdLeasePool& pool, Clock& clock);

  const std::string& key() const { return key_; }

  // The present one, or a new one if that is over. Errors: etcd did not answer, or could not write.
  Task<Result<Revision>> current(Deadline deadline);

  // It shall be over: the next current() that succeeds comes after whatever was sent with it.
  void end(Revision epoch);

 private:
  Task<Result<Revision>> begin(Deadline deadline);
  Revision present() const;

  EtcdClient& client_;
  EtcdLeasePool& pool_;
  Clock& clock_;
  const std::string key_;
  std::atomic<Revision> epoch_{kAbsent};
  std::atomic<BootTime> ends_{BootTime()};  // the key's lease lives for longer
  SharedWork<Result<Revision>> beginning_;
};

}  // namespace sharedlock
