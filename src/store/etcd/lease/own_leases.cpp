#include "store/etcd/lease/own_leases.h"

#include <algorithm>
#include <utility>

#include "store/etcd/lease/lease_index.h"
#include "store/lease_ids.h"

namespace sharedlock {

namespace {

// How often a decision is repeated when other requests change its basis.
constexpr int kDecisions = 8;

Error no_such_own_lease() {
  return {Errc::lease_not_found, "no such lease"};
}

Error lease_changes_all_the_time() {
  return {Errc::unavailable, "the lease changed while this request looked at it"};
}

std::string index_of(const EtcdHeld& held) {
  return to_text(LeaseIndex{held.ttl, held.key});
}

// Expects the entry and its index entry as they were found.
Transaction expecting(LeaseId id, const EtcdHeld& held) {
  Transaction transaction;
  transaction.expect.push_back({held.key, held.revision});
  transaction.expect.push_back({lease_index_key(id), held.revision});
  return transaction;
}

}  // namespace

EtcdOwnLeases::EtcdOwnLeases(Below below, bool shared, Clock& clock, Log& log, Executor executor)
    : below_(std::move(below)),
      shared_(shared),
      clock_(clock),
      executor_(executor),
      open_grants_(below_.epochs_ended, below_.lacked_space_since, clock),
      undone_(clock, log, "leases that nobody knows could not be ended; they end by themselves") {}

Error EtcdOwnLeases::lost_or_unavailable(LeaseId id, const Error& error) const {
  bool lives = outcome_unknown(error.code) && safety_.surely_lives(id, clock_.boot_now());
  return lives ? error : below_.lost_or_unavailable(id, error);
}

// The index entry first, then what it names beside it.
Task<Result<EtcdOwnLeases::Seen>> EtcdOwnLeases::find(LeaseId id, Deadline deadline) {
  std::vector<std::string> keys(1, lease_index_key(id));
  for (int tries = 0; tries < kDecisions; ++tries) {
    auto found = co_await below_.look(keys, deadline);
    if (!found) co_return found.error();
    Seen seen{.index = std::move(found->front()), .held = std::nullopt};
    auto index = seen.index ? parse_lease_index(seen.index->value) : std::nullopt;
    if (!index) co_return seen;
    seen.ttl = index->ttl;
    bool looked_there = keys.size() == 2 && keys.back() == index->key;
    if (!looked_there) {
      keys.resize(1);
      keys.push_back(std::move(index->key));
      continue;
    }
    auto& entry = found->back();
    if (!is_true_of(*seen.index, entry)) co_return seen;
    seen.held = EtcdHeld{.key = std::move(index->key),
                         .value = std::move(entry->value),
                         .ttl = index->ttl,
                         .created = entry->created,
                         .revision = entry->revision,
                         .shares = entry->lease};
    co_return seen;
  }
  co_return lease_changes_all_the_time();
}

// What a conflict shows of the expected entries: the same lease, renewed by another request.
std::optional<EtcdHeld> EtcdOwnLeases::seen_by(const Conflict& conflict, const EtcdHeld& held) {
  const auto& entry = conflict.current[0];
  const auto& index = conflict.current[1];
  bool same = entry && index && is_true_of(*index, entry) && index->value == index_of(held);
  if (!same) return std::nullopt;
  EtcdHeld now = held;
  now.value = entry->value;
  now.created = entry->created;
  now.revision = entry->revision;
  now.shares = entry->lease;
  now.end = BootTime();
  return now;
}

// A renewal that is decided again ends, at the earliest, its ttl after the read on which it then rests: promises made
// by other requests meanwhile end no later, and must not be shortened.
Task<Result<Ttl>> EtcdOwnLeases::keep_alive(LeaseId id, std::string under, Deadline deadline) {
  BootTime called = clock_.boot_now();
  std::optional<EtcdHeld> held = written_.find(id);
  BootTime end = held ? std::max(saturating_add(called, held->ttl), held->end) : BootTime();
  if (!held && below_.knows_native(id, under)) co_return co_await below_.keep_native_alive(id, under, deadline);
  for (int tries = 0; tries < kDecisions; ++tries) {
    if (!held) {
      auto seen = co_await find(id, deadline);
      if (!seen) co_return lost_or_unavailable(id, seen.error());
      if (!seen->held) {
        safety_.ended(id);
        co_return co_await below_.keep_native_alive(id, under, deadline);
      }
      held = std::move(seen->held);
      end = saturating_add(clock_.boot_now(), held->ttl);
    }
    if (!held->key.starts_with(under)) co_return no_such_own_lease();
    auto outcome = co_await put_again(id, &*held, end, called, deadline);
    if (!outcome) {
      written_.forget(id);
      bool look_again = outcome_unknown(outcome.error().code) && clock_.boot_now() < deadline.at;
      if (!look_again) co_return lost_or_unavailable(id, outcome.error());
      held.reset();
    } else if (auto* conflict = std::get_if<Conflict>(&*outcome)) {
      written_.forget(id);
      held = seen_by(*conflict, *held);
      if (held) end = saturating_add(clock_.boot_now(), held->ttl);
    } else {
      co_return held->ttl;
    }
  }
  co_return lost_or_unavailable(id, lease_changes_all_the_time());
}

Task<Result<Outcome>> EtcdOwnLeases::commit_simply(Transaction transaction, BootTime called, Deadline deadline) {
  return below_.commit(std::move(transaction), called, EtcdCommitWay(), deadline);
}

Task<Result<Outcome>> EtcdOwnLeases::put_again(LeaseId id, const EtcdHeld* held, BootTime end, BootTime called,
                                               Deadline deadline) {
  Transaction transaction = expecting(id, *held);
  transaction.changes.emplace_back(Put{held->key, held->value, PooledUntil{end}});
  transaction.changes.emplace_back(Put{lease_index_key(id), index_of(*held), PooledUntil{end}});
  auto outcome = co_await commit_simply(std::move(transaction), called, deadline);
  auto* committed = outcome ? std::get_if<Committed>(&*outcome) : nullptr;
  if (committed) wrote(id, *held, *committed, end);
  co_return outcome;
}

void EtcdOwnLeases::wrote(LeaseId id, EtcdHeld held, const Committed& committed, BootTime end) {
  held.revision = committed.revision;
  held.shares = committed.leases.front();
  held.end = end;
  safety_.renewed(id, end - held.ttl, held.ttl);
  written_.wrote(id, std::move(held));
}

// Whether a grant of this id may still be carried out is checked before the look, so that the look finds everything
// carried out by then. The entry found is ended in any case; the caller repeats the call.
Task<Result<void>> EtcdOwnLeases::revoke(LeaseId id, std::string under, Deadline deadline) {
  bool over = open_grants_.is_over(id);
  auto revoked = co_await revoke_present(id, std::move(under), deadline);
  bool seems_gone = revoked || revoked.error().code == Errc::lease_not_found;
  if (seems_gone && !over) co_return Error{Errc::unavailable, "the lease may be granted yet"};
  co_return revoked;
}

Task<Result<void>> EtcdOwnLeases::revoke_present(LeaseId id, std::string under, Deadline deadline) {
  std::optional<EtcdHeld> held = written_.find(id);
  bool perhaps_done = false;
  for (int tries = 0; tries < kDecisions; ++tries) {
    if (!held) {
      auto seen = co_await find(id, deadline);
      if (!seen) co_return seen.error();
      if (perhaps_done && !seen->index) co_return Result<void>();
      if (!seen->held) co_return co_await revoke_empty(id, under, &*seen, deadline);
      held = std::move(seen->held);
    }
    if (!held->key.starts_with(under)) co_return no_such_own_lease();
    Transaction transaction = expecting(id, *held);
    transaction.changes.emplace_back(Erase{held->key});
    transaction.changes.emplace_back(Erase{lease_index_key(id)});
    BootTime called = clock_.boot_now();
    written_.forget(id);
    auto outcome = co_await commit_simply(std::move(transaction), called, deadline);
    if (!outcome) {
      bool look_again = outcome_unknown(outcome.error().code) && clock_.boot_now() < deadline.at;
      if (!look_again) co_return outcome.error();
      perhaps_done = true;
      held.reset();
    } else if (auto* conflict = std::get_if<Conflict>(&*outcome)) {
      held = seen_by(*conflict, *held);
    } else {
      safety_.ended(id);
      co_return Result<void>();
    }
  }
  co_return lease_changes_all_the_time();
}

// No entry hangs on it by its index entry, if it has one: so it may be one of etcd's own leases, or be empty.
Task<Result<void>> EtcdOwnLeases::revoke_empty(LeaseId id, std::string under, const Seen* seen, Deadline deadline) {
  auto revoked = co_await below_.revoke_native(id, under, deadline);
  bool is_empty = !revoked && revoked.error().code == Errc::lease_not_found && under.empty() && seen->index;
  if (!is_empty) co_return revoked;
  Transaction transaction;
  transaction.expect.push_back({lease_index_key(id), seen->index->revision});
  transaction.changes.emplace_back(Erase{lease_index_key(id)});
  BootTime called = clock_.boot_now();
  auto outcome = co_await commit_simply(std::move(transaction), called, deadline);
  if (!outcome) co_return outcome.error();
  if (std::holds_alternative<Conflict>(*outcome)) co_return lease_changes_all_the_time();
  co_return Result<void>();
}

Task<Result<std::optional<LeaseInfo>>> EtcdOwnLeases::info(LeaseId id, Deadline deadline) {
  if (is_shared_lease(id)) co_return co_await below_.native_info(id, deadline);
  auto seen = co_await find(id, deadline);
  if (!seen) co_return seen.error();
  if (!seen->held) {
    auto native = co_await below_.native_info(id, deadline);
    bool has_one = native && *native && (*native)->keys.size() == 1;
    if (has_one) {
      std::vector<std::string> keys((*native)->keys);
      auto there = co_await below_.look(std::move(keys), deadline);
      if (!there) co_return there.error();
      auto& entry = there->front();
      if (entry && entry->lease == id) (*native)->only_entry = std::move(entry);
    }
    bool is_empty = native && !*native && seen->index;
    if (!is_empty) co_return native;
  }
  LeaseId shares = seen->held ? seen->held->shares : seen->index->lease;
  auto life = co_await below_.native_life(shares, deadline);
  if (!life) co_return life.error();
  if (!*life) co_return std::optional<LeaseInfo>();
  LeaseInfo info{.granted = seen->ttl, .left = {}, .keys = {}};
  // The shared lease outlives the promise a little; if another server wrote the entry, nothing else is known.
  auto written = written_.find(id);
  bool known = written && seen->held && written->revision == seen->held->revision;
  BootTime end = known ? std::min(written->end, (*life)->at_most_until) : (*life)->at_most_until;
  auto left = std::chrono::floor<Ttl>(end - clock_.boot_now());
  info.left = std::clamp(left, Ttl{0}, seen->ttl);
  if (seen->held) {
    EtcdHeld& held = *seen->held;
    info.keys.push_back(std::move(held.key));
    info.only_entry = Entry{std::move(held.value), held.shares, held.created, held.revision};
  }
  co_return std::optional(std::move(info));
}

}  // namespace sharedlock
