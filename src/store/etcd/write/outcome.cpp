#include <algorithm>
#include <utility>

#include "store/etcd/write/outcome_grpc.h"

namespace sharedlock {

namespace {

Outcome committed_at(Revision revision, const EtcdCommitLeases& leases) {
  Committed committed{.revision = revision};
  committed.leases.assign(leases.ids.begin(), leases.ids.end());
  if (leases.own) {
    committed.lease = leases.own->id;
    committed.ttl = leases.own->ttl;
  }
  return committed;
}

// Entries under shared leases prove nothing: their owners look again.
std::optional<Revision> revision_of_ours(const EtcdCommitLeases& leases, const Conflict& conflict) {
  if (!leases.own || !leases.own->made_here) return std::nullopt;
  for (const auto& current : conflict.current) {
    if (current && current->lease == leases.own->id) return current->revision;
  }
  return std::nullopt;
}

}  // namespace

bool live_long_enough(const EtcdCommitLeases& leases, const std::vector<std::optional<BootTime>>& told) {
  return std::ranges::equal(told, leases.least, [](const auto& end, BootTime least) { return end && *end >= least; });
}

Result<Outcome> read_outcome(const Transaction& transaction, const EtcdCommitLeases& leases,
                             EtcdWrites::Answer& answer) {
  if (!answer.result) return with_fate(answer.result.error(), answer.fate);
  if (answer.result->succeeded) return committed_at(answer.result->as_of, leases);
  if (answer.result->found.size() != transaction.expect.size() + transaction.none_under.size()) {
    return Error{Errc::unavailable, "etcd's answer makes no sense"};
  }
  Conflict conflict = to_conflict(transaction, std::move(answer.result->found), answer.result->as_of);
  if (!is_unknown(answer.fate) || transaction.changes.empty()) return conflict;
  // It lost against an earlier attempt of itself, or against another request: only an entry under a lease made for this
  // commit tells which.
  auto ours = revision_of_ours(leases, conflict);
  if (ours) return committed_at(*ours, leases);
  Error unclear{Errc::unavailable, "etcd did not answer at first, and then something else stood there"};
  return with_fate(std::move(unclear), answer.fate);
}

}  // namespace sharedlock
