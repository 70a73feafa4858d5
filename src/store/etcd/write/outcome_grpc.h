#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/etcd/lease/leases.h"
#include "store/etcd/lease/short_leases.h"
#include "store/etcd/write/batches_grpc.h"
#include "store/lease_store.h"

// The outcome of a commit, from etcd's answer: pure functions.
namespace sharedlock {

// The leases of one commit.
struct EtcdCommitLeases {
  std::vector<LeaseId> ids;     // [i] of changes[i]
  EtcdShortLeases::Ends ends;   // likewise
  std::vector<LeaseId> old;     // to ask etcd about (R34): they were granted before the call
  std::vector<BootTime> least;  // [i]: until when old[i] must live
  std::optional<EtcdLeases::Granted> own;
};

// Whether etcd has confirmed that for all old ones; `told[i]` for old[i].
bool live_long_enough(const EtcdCommitLeases& leases, const std::vector<std::optional<BootTime>>& told);

// Errors: as with_fate() says. The answer's findings move into the outcome.
Result<Outcome> read_outcome(const Transaction& transaction, const EtcdCommitLeases& leases,
                             EtcdWrites::Answer& answer);

}  // namespace sharedlock
