// Grants of EtcdOwnLeases.
#include <algorithm>
#include <utility>

#include "store/etcd/lease/lease_index.h"
#include "store/etcd/lease/own_leases.h"
#include "store/lease_ids.h"

namespace sharedlock {

namespace {

constexpr int kGrantTries = 4;

constexpr std::chrono::seconds kLongestUndo{2};  // of one try

// Whether the index entry, which was expected last, was the only obstacle.
bool only_the_index_was_in_the_way(const Transaction& transaction, const Conflict& conflict) {
  for (std::size_t i = 0; i < transaction.expect.size(); ++i) {
    const auto& current = conflict.current[i];
    if ((current ? current->revision : kAbsent) != transaction.expect[i].at) return false;
  }
  return std::ranges::none_of(conflict.occupied, [](bool occupied) { return occupied; });
}

Error id_in_use(std::string_view why) {
  return {Errc::lease_in_use, std::string(why)};
}

}  // namespace

EtcdOwnLeases::Grant EtcdOwnLeases::grant_of(const Transaction& transaction) {
  Grant grant{};
  for (std::size_t i = 0; i < transaction.changes.size(); ++i) {
    auto* put = std::get_if<Put>(&transaction.changes[i]);
    grant.puts.push_back(put != nullptr);
    const OwnLease* own = own_lease_of(transaction.changes[i]);
    if (!own) continue;
    grant.id = own->id.value_or(random_lease_id());
    grant.own = *own;
    grant.key = put->key;
    grant.value = put->value;
    grant.place = i;
  }
  return grant;
}

// Commits that name the same lease id are serialized.
Task<Result<Outcome>> EtcdOwnLeases::commit(Transaction transaction, BootTime called, Deadline deadline) {
  Grant grant = grant_of(transaction);
  if (is_shared_lease(grant.id)) co_return id_in_use("that id is of a lease of another kind");
  LeaseId id = grant.id;
  Trace trace = std::make_shared<char>();
  std::weak_ptr<const void> traced = trace;
  BootTime began = clock_.boot_now();
  // A client may repeat its request, and release what the repeat reported, while this one is under way.
  bool may_be_released = shared_ && grant.own.client_chosen;
  if (may_be_released) open_grants_.add(id, traced, began);
  std::optional<KeyedMutex::Turn> turn;
  if (grant.own.id) turn.emplace(co_await turns_.take(id));
  auto outcome = co_await commit_in_turn(std::move(transaction), std::move(grant), std::move(trace), called, deadline);
  if (!shared_) co_return outcome;
  bool attempt_may_be_left = open_grants_.attempt_may_be_left(began);
  bool is_known = outcome || !may_happen_yet(outcome.error().code);
  if (may_be_released && is_known && !attempt_may_be_left) open_grants_.answered(id, traced);
  bool granted = outcome && std::holds_alternative<Committed>(*outcome);
  if (!may_be_released && granted && attempt_may_be_left) open_grants_.add(id, traced, began);
  co_return outcome;
}

Task<Result<Outcome>> EtcdOwnLeases::commit_in_turn(Transaction transaction, Grant grant, Trace trace, BootTime called,
                                                    Deadline deadline) {
  if (shared_ && grant.own.client_chosen) {
    // Another server may have granted it as one of etcd's own (R2).
    auto native = co_await below_.native_info(grant.id, deadline);
    if (!native) co_return Error{Errc::unanswered, native.error().message};
    if (*native && !(*native)->keys.empty()) co_return id_in_use("an entry hangs on that lease");
  }
  EtcdCommitWay way;
  way.look_first = looks_first(transaction, grant.own);
  way.looks_itself = grant.own.client_chosen;  // another server may have granted it meanwhile
  way.trace = std::move(trace);
  hints_.present(grant.key);  // soon, by this request or by the present holder
  Revision index_at = kAbsent;
  for (int tries = 0; tries < kGrantTries; ++tries) {
    Transaction whole = with_index(transaction, grant, index_at, called);
    auto outcome = co_await below_.commit(std::move(whole), called, way, deadline);
    way.look_first = false;
    if (!outcome) {
      bool unknown = shared_ && outcome_unknown(outcome.error().code) && !grant.own.client_chosen;
      if (!unknown) co_return outcome.error();
      std::weak_ptr<const void> traced = way.trace;
      way.trace.reset();
      co_return co_await look_for_grant(&grant, std::move(traced), called, deadline, outcome.error());
    }
    if (auto* committed = std::get_if<Committed>(&*outcome)) {
      if (shared_) granted(transaction, grant, called, *committed);
      co_return outcome;
    }
    Conflict conflict = std::get<Conflict>(*std::move(outcome));
    auto replaced = co_await index_to_replace(&transaction, &conflict, grant.id, deadline);
    if (!replaced) co_return replaced.error();
    conflict.current.resize(transaction.expect.size());
    if (!only_the_index_was_in_the_way(transaction, conflict)) co_return Outcome(std::move(conflict));
    // The lease of etcd that was granted for this is already being revoked.
    if (!shared_ && !grant.own.client_chosen) co_return id_in_use("an index entry of that lease is left");
    index_at = *replaced;
  }
  co_return Error{Errc::unanswered, "what the lease id stood for changed while this request looked at it"};
}

void EtcdOwnLeases::granted(const Transaction& transaction, const Grant& grant, BootTime called, Committed& committed) {
  committed.leases.pop_back();  // of the index entry
  committed.lease = grant.id;
  committed.ttl = grant.own.ttl;
  safety_.renewed(grant.id, called, grant.own.ttl);
  written_.forget(grant.id);
  // A put that replaced an entry keeps that entry's creation revision.
  bool is_new = std::ranges::any_of(
      transaction.expect, [&](const Expect& expect) { return expect.key == grant.key && expect.at == kAbsent; });
  if (!is_new) return;
  EtcdHeld held{.key = grant.key,
                .value = grant.value,
                .ttl = grant.own.ttl,
                .created = committed.created(),
                .revision = committed.revision,
                .shares = committed.leases[grant.place],
                .end = saturating_add(called, grant.own.ttl)};
  written_.wrote(grant.id, std::move(held));
}

// Unless `shared_`, it only expects that no lease of that id has a true index entry.
Transaction EtcdOwnLeases::with_index(const Transaction& transaction, const Grant& grant, Revision index_at,
                                      BootTime called) const {
  Transaction whole = transaction;
  if (!shared_ && !grant.own.id) return whole;  // no other request knows an id that is not picked yet
  whole.expect.push_back({lease_index_key(grant.id), index_at});
  if (!shared_) return whole;
  PooledUntil end{saturating_add(called, grant.own.ttl)};
  for (Mutation& change : whole.changes) {
    if (own_lease_of(change)) std::get<Put>(change).lifetime = end;
  }
  LeaseIndex index{grant.own.ttl, grant.key};
  whole.changes.emplace_back(Put{lease_index_key(grant.id), to_text(index), end});
  return whole;
}

// The revision to expect of the index entry now. lease_in_use: the entry is true.
Task<Result<Revision>> EtcdOwnLeases::index_to_replace(const Transaction* transaction, const Conflict* conflict,
                                                       LeaseId id, Deadline deadline) {
  bool had_index = conflict->current.size() > transaction->expect.size();
  if (!had_index || !conflict->current.back()) co_return kAbsent;
  Entry index = *conflict->current.back();
  auto parsed = parse_lease_index(index.value);
  if (!parsed) co_return index.revision;
  auto named = std::ranges::find(transaction->expect, parsed->key, &Expect::key);
  if (named != transaction->expect.end()) {
    const auto& entry = conflict->current[static_cast<std::size_t>(named - transaction->expect.begin())];
    if (is_true_of(index, entry)) co_return id_in_use("an entry hangs on that lease");
    co_return index.revision;
  }
  auto seen = co_await find(id, deadline);
  if (!seen) co_return Error{Errc::unanswered, seen.error().message};
  if (seen->held) co_return id_in_use("an entry hangs on that lease");
  co_return seen->index ? seen->index->revision : kAbsent;
}

// An unanswered commit has succeeded if its entry and its index entry stand at one revision. They are then renewed,
// since their lease may end too early and was not checked (R34). No other request knows the id.
Task<Result<Outcome>> EtcdOwnLeases::look_for_grant(const Grant* grant, std::weak_ptr<const void> trace,
                                                    BootTime called, Deadline deadline, Error unknown) {
  Result<Seen> seen(unknown);
  bool tells_all = std::ranges::count(grant->puts, true) == 1;  // there is nothing to report about other leases
  if (tells_all && clock_.boot_now() < deadline.at) seen = co_await find(grant->id, deadline);
  bool is_there = seen && seen->held && seen->held->key == grant->key;
  if (is_there) {
    BootTime end = saturating_add(clock_.boot_now(), grant->own.ttl);
    auto renewed = co_await put_again(grant->id, &*seen->held, end, called, deadline);
    auto* committed = renewed ? std::get_if<Committed>(&*renewed) : nullptr;
    if (committed) {
      Committed done{.revision = committed->revision, .lease = grant->id, .ttl = grant->own.ttl};
      done.first = seen->held->created;
      done.leases.resize(grant->puts.size());
      done.leases[grant->place] = committed->leases.front();
      co_return Outcome(std::move(done));
    }
  }
  if (may_happen_yet(unknown.code)) open_grants_.add(grant->id, std::move(trace), called);
  if (!grant->own.id) undo(grant->id);
  co_return unknown;
}

bool EtcdOwnLeases::looks_first(const Transaction& transaction, const OwnLease& own) const {
  if (own.client_chosen || below_.lacks_space()) return true;
  return std::ranges::any_of(transaction.expect, [this](const Expect& expect) {
    return expect.at != kAbsent || hints_.is_present(expect.key);
  });
}

// Repeated until the grant can no longer be carried out late. Its entry is erased, since a shared lease can't be
// revoked.
void EtcdOwnLeases::undo(LeaseId id) {
  safety_.ended(id);
  undone_.add(executor_, [this, id] { return try_to_undo(id); }, clock_.boot_now(), BootTime::max());
}

Task<bool> EtcdOwnLeases::try_to_undo(LeaseId id) {
  Deadline deadline{clock_.boot_now() + kLongestUndo};
  auto ended = co_await revoke(id, "", deadline);
  co_return ended || !outcome_unknown(ended.error().code);
}

}  // namespace sharedlock
