#pragma once

#include <etcd.pb.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "base/async_event.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/task.h"
#include "store/etcd/options.h"
#include "store/etcd/rpc/client.h"
#include "store/etcd/witness/guard_grpc.h"
#include "store/etcd/witness/witness.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdConnections;
struct EtcdMember;
class EtcdTokenBase;
class EtcdWatches;

// The reaction to an etcd that has forgotten something it had confirmed (R32). It asks on each new connection, reads
// the other servers' witnesses four times a second, and gets what transactions found. Once anything shows that etcd
// forgot, the witness refuses everything for as long as this store exists: nothing that it knows can be trusted. A mark
// shields what may still be held: it keeps the other servers, and servers that start, from granting it; the mark's
// lease ends with the last promise. When that is over, or an operator has accepted the loss, the base of fencing tokens
// is raised if etcd's revisions have fallen (R31), and the store's owner is told to make another store. Thread-safe.
class EtcdLoss {
 public:
  // Its coroutine runs on `executor`. Everything must outlive it.
  EtcdLoss(EtcdConnections& connections, EtcdClient& client, EtcdWitness& witness, EtcdTokenBase& token_base,
           EtcdWatches& watches, EtcdLossHandler handler, Executor executor);

  // Looks for losses, and does the periodic work, until stop().
  Task<void> attend();
  void stop();  // on the executor

  // Judges what a transaction found; `known` is from when it was sent. False: nothing may be believed any more.
  bool examine(const EtcdWitness::Known& known, const EtcdWitness::Found& found);

  // The same for a guarded transaction with failed comparisons (EtcdAnswer::compared_with); the answers of
  // add_own_ranges() start at [first].
  bool examine(EtcdWitness::Known known, Revision compared_with, const etcdserverpb::TxnResponse& failed, int first);

  // A change of ours was made at that revision. False: it is impossible, so nothing may be believed any more.
  bool confirm(const EtcdWitness::Known& known, Revision at);

  // The server ends cleanly: its witness says so.
  Task<void> shut_down(Deadline deadline);

 private:
  Task<Result<void>> check(EtcdMember* member, std::chrono::nanoseconds span);
  Result<void> checked(const EtcdWitness::Known& known, const etcdserverpb::TxnResponse& response);
  Task<bool> recognize(EtcdMember* member, std::chrono::nanoseconds span);
  void lost(std::string why);
  void look_at_base(const std::optional<std::string>& stands, Revision as_of);
  Task<void> look();
  void take_witness(const std::string& key, std::string_view value, Revision revision);

  Task<void> poll();
  Task<bool> shield(const EtcdFoundAll* all);
  bool add_base(etcdserverpb::TxnRequest& request, const EtcdFoundAll& all) const;
  Task<bool> raise_base(const EtcdFoundAll* all);
  Task<bool> is_long_enough(LeaseId lease, std::chrono::seconds wanted);
  Task<void> write_mark(Revision mark_at, const EtcdFoundAll* all, std::chrono::seconds ttl);
  Task<void> keep_fresh();
  Task<void> put_witness(bool ended, Deadline deadline);
  Task<void> erase_stale();
  void refuse(const std::string& because, const std::string& why);
  void end();
  void wake();
  Deadline soon() const;

  EtcdConnections& connections_;
  EtcdClient& client_;
  EtcdWitness& witness_;
  EtcdTokenBase& token_base_;
  EtcdWatches& watches_;
  Clock& clock_;
  Log& log_;
  const EtcdLossHandler handler_;
  Executor executor_;
  std::atomic<bool> lost_{false};  // by this server's own knowledge
  std::atomic<bool> ended_{false};
  std::mutex mutex_;
  std::string why_;  // why it is lost
  // Used on the executor, like the members below. Shared, since what wakes it may be carried out after the end.
  const std::shared_ptr<AsyncEvent> wake_;
  bool stopping_ = false;
  BootTime told_beside_{};  // by the witness as it now stands
  Revision seen_floor_ = kAbsent;
  BootTime put_at_{};    // the witness, as far as seen
  BootTime next_put_{};  // not before
  BootTime erased_at_{};
  Revision shielded_at_ = kAbsent;  // the mark at this revision lasts long enough
};

}  // namespace sharedlock
