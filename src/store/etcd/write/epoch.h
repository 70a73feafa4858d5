#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/retries.h"
#include "base/single_flight.h"
#include "base/task.h"
#include "store/lease_store.h"

namespace etcdserverpb {
class TxnRequest;
}  // namespace etcdserverpb

namespace sharedlock {

class EtcdClient;
class EtcdLeasePool;
class EtcdLoss;
class EtcdTokenBase;
class EtcdWitness;

// The prefix of the epochs' keys.
inline constexpr const char* kEpochPrefix = "/shared-lock.meta/epochs/";

// The epoch of this server's writes: the revision of a key of its own in etcd, with which its transactions are
// compared. A request that had no answer may be carried out much later, when the network recovers or a member wakes.
// Once the key has been written again, or erased, that is impossible: the request's epoch is over. Each epoch begins
// with a check whether etcd has forgotten something (R32), and whether the base of tokens is unchanged. Thread-safe.
// Everything passed in must outlive it, and it must outlive its calls.
class EtcdEpoch {
 public:
  // Background work runs on `executor`.
  EtcdEpoch(EtcdClient& client, EtcdWitness& witness, EtcdLoss& loss, EtcdTokenBase& token_base, EtcdLeasePool& pool,
            Clock& clock, Log& log, Executor executor);

  const std::string& key() const { return key_; }

  // Adds to a transaction outside any epoch the comparison that an epoch begins with: the base of tokens.
  void expect_base(etcdserverpb::TxnRequest& request) const;

  // The present one, or a new one if that is over. Errors: `unavailable` and `deadline_exceeded`, when etcd did not
  // answer or could not write.
  Task<Result<Revision>> current(Deadline deadline);

  // A transaction has found that it is over.
  void is_over(Revision epoch);

  // Ends it. True: nothing sent with it can still be carried out. False: that was impossible in time, and is tried in
  // the background until it succeeds.
  Task<bool> end(Revision epoch, Deadline deadline);

  // False if end() could not end one in time, and it has not ended since.
  bool all_ended() const { return to_end_.load() <= ended_.load(); }

  // Erases the key, so that no epoch of this server is left. Only after its last transaction was answered or given up.
  Task<bool> leave(Deadline deadline);

  // Ends the background work soon.
  void stop() { unended_->stop(); }

  // Waits until it has ended. After that end() must not be called.
  void join() { unended_.reset(); }

 private:
  Task<Result<Revision>> begin(Deadline deadline);
  Task<Result<Revision>> begin_under(LeaseId lease, Deadline deadline);
  Task<Result<LeaseId>> lease_for_key(BootTime now, Deadline deadline);
  void end_in_background(Revision epoch);
  Task<bool> end_late();
  Revision present() const;
  void has_ended(Revision epoch);

  EtcdClient& client_;
  EtcdWitness& witness_;
  EtcdLoss& loss_;
  EtcdTokenBase& token_base_;
  EtcdLeasePool& pool_;
  Clock& clock_;
  Executor executor_;
  const std::string key_;
  std::atomic<Revision> epoch_{kAbsent};
  std::atomic<BootTime> ends_{BootTime()};  // the key's lease outlives this
  LeaseId lease_{0};                        // of the key; only begin() uses this and the next
  BootTime lease_ends_;
  SingleFlight<Result<Revision>> beginning_;
  std::atomic<Revision> to_end_{kAbsent};  // the latest that end() could not end in time
  std::atomic<Revision> ended_{kAbsent};   // this one, and all before it
  std::atomic<bool> is_ending_late_ = false;
  std::optional<Retries> unended_;
};

}  // namespace sharedlock
