#pragma once

#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "store/etcd/lease/leases.h"
#include "store/etcd/write/commit_way.h"
#include "store/lease_store.h"

namespace sharedlock {

class EtcdLeasePool;
class EtcdReads;
class EtcdSession;
class EtcdShortLeases;
class EtcdWrites;
struct EtcdCommitLeases;
template <class Kind>
class EtcdBatchQueue;

// Carries out transactions: has the leases granted that they need, sends them together with others, and reads their
// outcomes. Thread-safe. Everything passed in must outlive it, and it must outlive its calls.
class EtcdCommits {
 public:
  EtcdCommits(EtcdBatchQueue<EtcdReads>& reads, EtcdBatchQueue<EtcdWrites>& writes, EtcdLeases& leases,
              EtcdLeasePool& pool, EtcdShortLeases& short_leases, EtcdSession& session, const Clock& clock,
              int max_retries)
      : reads_(reads),
        writes_(writes),
        leases_(leases),
        pool_(pool),
        short_leases_(short_leases),
        session_(session),
        clock_(clock),
        max_retries_(max_retries) {}

  // As LeaseStore::commit(), for a transaction that check() accepts. `called`: when that call began. Commits with an
  // OwnLease of the same id must be serialized.
  Task<Result<Outcome>> commit(Transaction transaction, BootTime called, EtcdCommitWay way, Deadline deadline);

 private:
  Task<Result<std::optional<Conflict>>> look(const Transaction& transaction, Deadline deadline);
  Task<Result<void>> grant_all(const Transaction* transaction, EtcdCommitLeases* leases, BootTime called,
                               Deadline deadline);
  Task<Result<LeaseId>> lease_for(const Lifetime* lifetime, EtcdCommitLeases* leases, Deadline deadline);
  Task<Result<LeaseId>> share(BootTime end, const Transaction* transaction, EtcdCommitLeases* leases, BootTime called,
                              Deadline deadline);
  Task<Result<Outcome>> apply(const Transaction* transaction, const EtcdCommitLeases* leases, const EtcdCommitWay* way,
                              Deadline deadline);
  void forget(const EtcdCommitLeases& leases);

  EtcdBatchQueue<EtcdReads>& reads_;
  EtcdBatchQueue<EtcdWrites>& writes_;
  EtcdLeases& leases_;
  EtcdLeasePool& pool_;
  EtcdShortLeases& short_leases_;
  EtcdSession& session_;
  const Clock& clock_;
  const int max_retries_;
};

}  // namespace sharedlock
