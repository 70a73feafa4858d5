#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/retries.h"
#include "base/task.h"
#include "store/etcd/lease/lease_keys.h"
#include "store/etcd/lease/lease_safety.h"
#include "store/etcd/options.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdClient;
class EtcdKeepalive;
class EtcdWatches;

// Leases of etcd's own, which LeaseKeepAlive renews: what LeaseStore says of them, and what a commit needs.
// Thread-safe; client, keepalive and watches must outlive it.
//
// A renewal of such a lease promises less than it says (R33): LeaseKeepAlive bypasses etcd's log. An answer from a
// leader deposed long ago is detected: the renewal counts only if a quorum read afterwards shows the same raft term.
// But such a leader may, on waking, end leases that others renewed meanwhile; that can't be prevented.
class EtcdLeases {
 public:
  // As granted, still without an entry. `made_here`: by this call, perhaps by an attempt that had no answer, and only
  // this call knows it; so it may be ended, and an entry under it is this call's.
  struct Granted {
    LeaseId id;
    Ttl ttl;
    bool made_here = true;
  };

  // Returns etcd's raft term, as shown by a linearizable read that begins after the call.
  using Term = std::function<Task<Result<std::uint64_t>>(Deadline)>;

  // Background work runs on `executor`.
  EtcdLeases(EtcdClient& client, EtcdKeepalive& keepalive, EtcdWatches& watches, const EtcdOptions& options, Term term,
             Clock& clock, Log& log, Executor executor);

  // A new lease, or the one with the requested id if it has no entries. lease_in_use: an entry hangs on that id.
  Task<Result<Granted>> grant_own(OwnLease wanted, Deadline deadline);

  // A lease for entries of the lock API; returns the ttl it got. lease_in_use: there is one with that id.
  Task<Result<Ttl>> grant_pooled(LeaseId id, Ttl ttl, Deadline deadline);

  // Ends, in the background, a lease that nothing else knows (R3): tries until etcd answers.
  void revoke_unknown(LeaseId id);

  // Ends the background work soon; repeated tries are given up.
  void stop();

  // Whether the watch knows that a key under that prefix hangs on it.
  bool knows(LeaseId id, const std::string& under) const { return keys_.hangs(id, under); }

  // See LeaseStore.
  Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline deadline);
  Task<Result<void>> revoke(LeaseId id, std::string under, Deadline deadline);
  Task<Result<std::optional<LeaseInfo>>> info(LeaseId id, Deadline deadline);
  Task<Result<std::optional<LeaseLife>>> life(LeaseId id, Deadline deadline);

  // What keep_alive() answers when the state is unknown: the error, or lease_not_found once the lease may have ended.
  Error lost_or_unavailable(LeaseId id, const Error& error);

 private:
  Task<Result<Granted>> grant(LeaseId id, Ttl ttl, Deadline deadline, bool* unanswered);
  Task<Result<Granted>> take_over(OwnLease wanted, LeaseId id, Deadline deadline, bool* unanswered);
  Task<Result<std::optional<LeaseInfo>>> look(LeaseId id, Deadline deadline);
  Task<Result<std::uint64_t>> catch_up(Deadline deadline);
  Task<Result<void>> find_own(LeaseId id, std::string under, bool may_be_empty, Deadline deadline);
  Task<Result<void>> find_after_renewal(LeaseId id, std::string under, Deadline deadline);
  void revoke_unanswered(LeaseId id);
  void revoke_in_background(LeaseId id, BootTime from);
  Task<bool> try_to_revoke(LeaseId id);

  EtcdClient& client_;
  EtcdKeepalive& keepalive_;
  const EtcdOptions& options_;
  const Term term_;
  Clock& clock_;
  Executor executor_;
  LeaseSafety safety_;
  EtcdLeaseKeys keys_;
  Retries undone_;
};

}  // namespace sharedlock
