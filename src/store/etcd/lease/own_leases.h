#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/presence_hints.h"
#include "base/result.h"
#include "base/retries.h"
#include "base/task.h"
#include "store/etcd/lease/keyed_mutex.h"
#include "store/etcd/lease/lease_safety.h"
#include "store/etcd/lease/open_grants.h"
#include "store/etcd/lease/written_leases.h"
#include "store/etcd/write/commit_way.h"
#include "store/lease_store.h"

namespace sharedlock {

// The OwnLeases of the etcd store. A renewal that bypasses etcd's log promises nothing (R33), so these leases are
// renewed like locks: the entry shares with others a lease of etcd that is never kept alive, and a keepalive is a
// commit that puts the entry under a later one. An index entry (lease_index.h), put and erased together with the entry,
// tells what hangs on an id. Leases without an index entry are etcd's own: those of the Go service, and of servers that
// grant such leases (`shared` not set) as long as there are programs that know no others. Servers of both kinds renew
// and end leases of both kinds. Thread-safe. Everything passed in must outlive it, and it must outlive its calls.
class EtcdOwnLeases {
 public:
  // While any copy of it exists, requests sent for a commit are still being tried.
  using Trace = std::shared_ptr<const void>;

  // What it builds on.
  struct Below {
    // Carries out a transaction; `called`: when its call began.
    std::function<Task<Result<Outcome>>(Transaction, BootTime called, EtcdCommitWay, Deadline)> commit;
    // The entries under those keys, as of one revision.
    std::function<Task<Result<std::vector<std::optional<Entry>>>>(std::vector<std::string>, Deadline)> look;
    // Whether no request that was sent and not answered can still be carried out, except those still being tried.
    std::function<bool()> epochs_ended;
    std::function<bool()> lacks_space;
    std::function<bool(BootTime then)> lacked_space_since;  // at some time since then
    // The same for etcd's own leases.
    std::function<bool(LeaseId, const std::string& under)> knows_native;  // without asking
    std::function<Task<Result<Ttl>>(LeaseId, std::string under, Deadline)> keep_native_alive;
    std::function<Task<Result<void>>(LeaseId, std::string under, Deadline)> revoke_native;
    std::function<Task<Result<std::optional<LeaseInfo>>>(LeaseId, Deadline)> native_info;
    std::function<Task<Result<std::optional<LeaseLife>>>(LeaseId, Deadline)> native_life;
    std::function<Error(LeaseId, const Error&)> lost_or_unavailable;
  };

  // `shared`: new leases share etcd's. Background work runs on `executor`.
  EtcdOwnLeases(Below below, bool shared, Clock& clock, Log& log, Executor executor);

  // See LeaseStore. commit() is for a transaction with an OwnLease; `called`: when that call began.
  Task<Result<Outcome>> commit(Transaction transaction, BootTime called, Deadline deadline);
  Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline deadline);
  Task<Result<void>> revoke(LeaseId id, std::string under, Deadline deadline);
  Task<Result<std::optional<LeaseInfo>>> info(LeaseId id, Deadline deadline);

  // What keep_alive() answers when the state is unknown.
  Error lost_or_unavailable(LeaseId id, const Error& error) const;

  // Ends the background work soon.
  void stop() { undone_.stop(); }

  // Waits until it has ended. After that commit() must not be called.
  void join() { undone_.join(); }

 private:
  // What was found of a lease, as of one revision.
  struct Seen {
    std::optional<Entry> index;  // absent: it is none of these leases, or none at all
    std::optional<EtcdHeld> held;
    Ttl ttl{1};  // as the index says
  };
  struct Grant {  // the subject of one commit()
    LeaseId id;
    OwnLease own;
    std::string key;
    std::string value;
    std::vector<bool> puts;  // [i]: whether changes[i] puts something
    std::size_t place;       // of its put among these
  };

  Task<Result<Outcome>> commit_in_turn(Transaction transaction, Grant grant, Trace trace, BootTime called,
                                       Deadline deadline);
  static Grant grant_of(const Transaction& transaction);
  void granted(const Transaction& transaction, const Grant& grant, BootTime called, Committed& committed);
  Transaction with_index(const Transaction& transaction, const Grant& grant, Revision index_at, BootTime called) const;
  Task<Result<Revision>> index_to_replace(const Transaction* transaction, const Conflict* conflict, LeaseId id,
                                          Deadline deadline);
  Task<Result<Outcome>> look_for_grant(const Grant* grant, std::weak_ptr<const void> trace, BootTime called,
                                       Deadline deadline, Error unknown);
  bool looks_first(const Transaction& transaction, const OwnLease& own) const;

  Task<Result<Seen>> find(LeaseId id, Deadline deadline);
  Task<Result<Outcome>> commit_simply(Transaction transaction, BootTime called, Deadline deadline);
  Task<Result<Outcome>> put_again(LeaseId id, const EtcdHeld* held, BootTime end, BootTime called, Deadline deadline);
  static std::optional<EtcdHeld> seen_by(const Conflict& conflict, const EtcdHeld& held);
  void wrote(LeaseId id, EtcdHeld held, const Committed& committed, BootTime end);
  Task<Result<void>> revoke_present(LeaseId id, std::string under, Deadline deadline);
  Task<Result<void>> revoke_empty(LeaseId id, std::string under, const Seen* seen, Deadline deadline);

  void undo(LeaseId id);
  Task<bool> try_to_undo(LeaseId id);

  const Below below_;
  const bool shared_;
  Clock& clock_;
  Executor executor_;
  EtcdWrittenLeases written_;
  LeaseSafety safety_;
  KeyedMutex turns_;
  PresenceHints hints_;  // of keys that were to be put with a lease of their own
  EtcdOpenGrants open_grants_;
  Retries undone_;
};

}  // namespace sharedlock
