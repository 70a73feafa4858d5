#include "store/etcd/write/commits.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "store/etcd/lease/lease_index.h"
#include "store/etcd/lease/lease_looks.h"
#include "store/etcd/lease/lease_pool.h"
#include "store/etcd/lease/session.h"
#include "store/etcd/lease/short_leases.h"
#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/write/batch_queue.h"
#include "store/etcd/write/batches_grpc.h"
#include "store/etcd/write/outcome_grpc.h"
#include "store/etcd/write/write_fate.h"

namespace sharedlock {

namespace {

const OwnLease* own_lease_in(const Transaction& transaction) {
  for (const Mutation& change : transaction.changes) {
    if (auto* own = own_lease_of(change)) return own;
  }
  return nullptr;
}

// Until when an entry that is put under a pooled lease must live.
std::optional<BootTime> pooled_end(const Mutation& change, BootTime called) {
  const Put* put = std::get_if<Put>(&change);
  bool pooled = put && !std::holds_alternative<KeepLease>(put->lifetime);
  return pooled ? shared_end(put->lifetime, called) : std::nullopt;
}

// Requests for the same key, each under a lease id that only this server knows, look for the same: if one finds the key
// taken, so do all. Empty: it looks only for what its comparisons say.
std::string looks_for(const Transaction& transaction) {
  std::string looks_for;
  if (transaction.expect.size() < 2) return looks_for;
  const Expect& last = transaction.expect.back();
  if (last.at != kAbsent || !last.key.starts_with(kLeaseIndexPrefix)) return looks_for;
  auto add = [&](const std::string& text) {
    looks_for.append(std::to_string(text.size())).append(1, ' ').append(text);
  };
  for (const Expect& expect : transaction.expect) {
    if (&expect == &last) break;
    add(expect.key);
    add(std::to_string(number_of(expect.at)));
  }
  looks_for += '/';
  for (const std::string& prefix : transaction.none_under) add(prefix);
  return looks_for;
}

// Notes a lease granted before the call: etcd must be asked about it (R34).
void rest_on(LeaseId id, BootTime end, EtcdCommitLeases* leases) {
  leases->old.push_back(id);
  leases->least.push_back(end);
}

}  // namespace

Task<Result<Outcome>> EtcdCommits::commit(Transaction transaction, BootTime called, EtcdCommitWay way,
                                          Deadline deadline) {
  if (way.look_first) {
    auto refused = co_await look(transaction, deadline);
    if (!refused) co_return with_fate(refused.error(), WriteFate::not_sent);
    if (*refused) co_return Outcome(**std::move(refused));
  }
  Error last{Errc::unanswered, {}};  // each failed attempt says why
  for (int attempt = 0; attempt <= max_retries_; ++attempt) {
    EtcdCommitLeases leases;
    auto granted = co_await grant_all(&transaction, &leases, called, deadline);
    if (!granted) {
      forget(leases);
      co_return with_fate(granted.error(), WriteFate::not_sent);
    }
    auto outcome = co_await apply(&transaction, &leases, &way, deadline);
    if (outcome || outcome.error().code != Errc::lease_not_found) co_return outcome;
    // Nothing was done. A lease of its own is already being revoked, so its id can't be used again.
    if (leases.own) co_return Error{Errc::unanswered, outcome.error().message};
    // One of the shared leases has ended meanwhile, or the session's.
    last.message = outcome.error().message;
    for (LeaseId id : leases.ids) {
      session_.lost(id);
      pool_.drop(id);
    }
  }
  co_return last;
}

Task<Result<std::optional<Conflict>>> EtcdCommits::look(const Transaction& transaction, Deadline deadline) {
  if (transaction.expect.empty() && transaction.none_under.empty()) co_return std::optional<Conflict>();
  EtcdReads::Item read{to_look(transaction)};
  auto found = co_await reads_.submit(std::move(read), deadline);
  if (!found) co_return found.error();
  if (holds(transaction, found->ranges)) co_return std::optional<Conflict>();
  co_return std::optional(to_conflict(transaction, std::move(found->ranges), found->as_of));
}

Task<Result<void>> EtcdCommits::grant_all(const Transaction* transaction, EtcdCommitLeases* leases, BootTime called,
                                          Deadline deadline) {
  for (const Mutation& change : transaction->changes) {
    auto* put = std::get_if<Put>(&change);
    auto end = pooled_end(change, called);
    leases->ends.push_back(put ? shared_end(put->lifetime, called) : std::nullopt);
    Result<LeaseId> id(LeaseId{0});
    if (end) {
      id = co_await share(*end, transaction, leases, called, deadline);
    } else if (put) {
      id = co_await lease_for(&put->lifetime, leases, deadline);
    }
    if (!id) co_return id.error();
    leases->ids.push_back(*id);
  }
  co_return Result<void>();
}

// One lease for all entries of the transaction that must live equally long: entries that belong together end together.
Task<Result<LeaseId>> EtcdCommits::share(BootTime end, const Transaction* transaction, EtcdCommitLeases* leases,
                                         BootTime called, Deadline deadline) {
  const auto& changes = transaction->changes;
  auto shares = [&](const Mutation& change) { return pooled_end(change, called) == end; };
  auto first = static_cast<std::size_t>(std::ranges::find_if(changes, shares) - changes.begin());
  if (first < leases->ids.size()) co_return leases->ids[first];
  auto entries = static_cast<std::size_t>(std::ranges::count_if(changes, shares));
  auto joined = co_await pool_.join(end, deadline, entries);
  if (!joined) co_return joined.error();
  if (joined->sent < called) rest_on(joined->id, end, leases);
  co_return joined->id;
}

Task<Result<LeaseId>> EtcdCommits::lease_for(const Lifetime* lifetime, EtcdCommitLeases* leases, Deadline deadline) {
  if (std::holds_alternative<SessionLease>(*lifetime)) co_return co_await session_.lease(deadline);
  if (auto* keep = std::get_if<KeepLease>(lifetime)) {
    if (!keep->looked_up) rest_on(keep->id, keep->end, leases);
    co_return keep->id;
  }
  auto granted = co_await leases_.grant_own(std::get<OwnLease>(*lifetime), deadline);
  if (!granted) co_return granted.error();
  leases->own = *granted;
  co_return granted->id;
}

Task<Result<Outcome>> EtcdCommits::apply(const Transaction* transaction, const EtcdCommitLeases* leases,
                                         const EtcdCommitWay* way, Deadline deadline) {
  EtcdWrites::Item write(*transaction, encode_txn(*transaction, leases->ids));
  write.rests_on = leases->old;
  if (!way->looks_itself) write.looks_for = looks_for(*transaction);
  write.trace = way->trace;
  if (leases->own) write.promises.ttl = std::max(write.promises.ttl, leases->own->ttl);  // etcd may grant more
  BootTime asked = clock_.boot_now();
  auto answer = co_await writes_.submit(std::move(write), deadline);
  auto outcome = read_outcome(*transaction, *leases, answer);
  bool conflict = outcome && std::holds_alternative<Conflict>(*outcome);
  if (!is_unknown(answer.fate) && (!outcome || conflict)) {
    forget(*leases);
  } else if (!outcome) {
    // The id of an OwnLease is unknown outside if the caller did not choose it; a pooled lease is never revoked (R3).
    const OwnLease* own = own_lease_in(*transaction);
    if (own && !own->id) leases_.revoke_unknown(leases->own->id);
  }
  if (!outcome || conflict || leases->old.empty()) co_return outcome;
  std::vector<std::optional<BootTime>> told;
  const TxnAnswer& done = *answer.result;
  if (done.looks) told = co_await done.looks->ends(leases->old, done.term, deadline);
  if (live_long_enough(*leases, told)) co_return outcome;
  // If nothing is known, even a lease granted since then can't be relied on: etcd would have to be asked again.
  bool known = done.looks && std::ranges::all_of(told, [](const auto& end) { return end.has_value(); });
  if (!known) asked = clock_.boot_now();
  auto* committed = std::get_if<Committed>(&*outcome);
  co_return co_await short_leases_.move(transaction, committed, &leases->ends, asked, deadline);
}

// The leases granted for a commit that surely did not happen.
void EtcdCommits::forget(const EtcdCommitLeases& leases) {
  if (leases.own && leases.own->made_here) leases_.revoke_unknown(leases.own->id);
}

}  // namespace sharedlock
