// How LeaseTable applies transactions.
#include <algorithm>
#include <utility>

#include "store/table/lease_table.h"

namespace sharedlock {

bool LeaseTable::any_under(std::string_view prefix) const {
  bool any = false;
  in_order_.walk(prefix, [&](const EntryNode& first) {
    any = first.key.starts_with(prefix);
    return false;
  });
  return any;
}

LeaseTable::Places LeaseTable::places_expected(const Transaction& transaction) const {
  Places expected;
  for (const Expect& expect : transaction.expect) expected.push_back(by_key_.look_up(expect.key));
  return expected;
}

// Mostly the keys that change are those that are expected, in the same order.
LeaseTable::Places LeaseTable::places_changed(const Transaction& transaction, const Places& expected) const {
  Places changed;
  for (std::size_t i = 0; i < transaction.changes.size(); ++i) {
    const std::string& key = key_of(transaction.changes[i]);
    bool is_known = i < expected.size() && transaction.expect[i].key == key;
    changed.push_back(is_known ? expected[i] : by_key_.look_up(key));
  }
  return changed;
}

bool LeaseTable::holds(const Transaction& transaction, const Places& expected) const {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const EntryNode* stands = expected[i].node;
    if ((stands ? stands->revision : kAbsent) != transaction.expect[i].at) return false;
  }
  return std::ranges::none_of(transaction.none_under, [this](const auto& prefix) { return any_under(prefix); });
}

Conflict LeaseTable::conflict(const Transaction& transaction, const Places& expected) const {
  Conflict conflict{.as_of = revision_, .current = {}, .occupied = {}};
  conflict.current.reserve(expected.size());
  for (const Keys::Place& place : expected) conflict.current.push_back(entry_of(place.node));
  for (const std::string& prefix : transaction.none_under) conflict.occupied.push_back(any_under(prefix));
  return conflict;
}

bool LeaseTable::takes_a_used_lease(const Transaction& transaction) const {
  return std::ranges::any_of(transaction.changes, [this](const Mutation& change) {
    const OwnLease* own = own_lease_of(change);
    const LeaseNode* taken = own && own->id ? leases_.find(*own->id) : nullptr;
    return taken && (taken->kind != Kind::own || !taken->entries.empty());
  });
}

bool LeaseTable::keeps_another_lease(const Transaction& transaction, const Places& changed) {
  for (std::size_t i = 0; i < changed.size(); ++i) {
    const Put* put = std::get_if<Put>(&transaction.changes[i]);
    const KeepLease* keep = put ? std::get_if<KeepLease>(&put->lifetime) : nullptr;
    const EntryNode* stands = changed[i].node;
    if (keep && !(stands && stands->lease->id == keep->id)) return true;
  }
  return false;
}

bool LeaseTable::changes_anything(const Transaction& transaction, const Places& changed) {
  for (std::size_t i = 0; i < changed.size(); ++i) {
    if (changed[i].node || std::holds_alternative<Put>(transaction.changes[i])) return true;
  }
  return false;
}

Result<Outcome> LeaseTable::commit(Transaction&& transaction, BootTime now, std::vector<Change>* changes) {
  if (auto valid = check(transaction); !valid) return valid.error();
  const Places expected = places_expected(transaction);
  if (!holds(transaction, expected)) return Outcome(conflict(transaction, expected));
  const Places changed = places_changed(transaction, expected);
  if (takes_a_used_lease(transaction)) return Error{Errc::lease_in_use, "the lease id is in use"};
  if (keeps_another_lease(transaction, changed)) {
    return Error{Errc::lease_not_found, "the entry hangs on another lease"};
  }
  if (changes_anything(transaction, changed)) revision_ = Revision{number_of(revision_) + 1};

  // No key is changed twice, so each place stays true until its own change.
  Committed committed{.revision = revision_};
  committed.leases.reserve(changed.size());
  for (std::size_t i = 0; i < changed.size(); ++i) {
    if (auto* to_put = std::get_if<Put>(&transaction.changes[i])) {
      const LeaseNode& lease = put(*to_put, changed[i], now, changes);
      committed.leases.push_back(lease.id);
      if (!std::holds_alternative<OwnLease>(to_put->lifetime)) continue;
      committed.lease = lease.id;
      committed.ttl = lease.ttl;
    } else {
      committed.leases.push_back(LeaseId{0});
      if (changed[i].node) erase(*changed[i].node, changes);
    }
  }
  check_in_turn();
  return Outcome(std::move(committed));
}

}  // namespace sharedlock
