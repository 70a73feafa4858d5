// The invariants of LeaseTable.
#include "base/check.h"
#include "store/table/lease_table.h"

namespace sharedlock {

void LeaseTable::check_in_turn() {
  if (pace_.due([this] { return by_key_.size() + leases_.size(); })) check_invariants();
}

void LeaseTable::check_invariants() const {
  check_entries();
  std::size_t leases = session_ ? 1 : 0;
  std::size_t held = 0;
  for (const auto& [number, tick] : ending_) {
    check_invariant(tick.number == number, "lease table: a tick is found by another number than its own");
    check_invariant(!tick.leases.empty(), "lease table: a tick is kept in which no lease ends");
    for (const LeaseNode& lease : tick.leases) {
      check_invariant(lease.tick == &tick, "lease table: a lease is listed under another tick than its own");
      check_invariant(lease.kind != Kind::session, "lease table: the session's lease is to end");
      held += check_lease(lease);
      ++leases;
    }
  }
  if (session_) {
    check_invariant(session_->kind == Kind::session, "lease table: the session's lease is of another kind");
    held += check_lease(*session_);
  }
  check_invariant(leases == leases_.size(), "lease table: not every lease that is known will end");
  check_invariant(held == by_key_.size(), "lease table: leases and keys have different numbers of entries");
}

void LeaseTable::check_entries() const {
  std::size_t entries = 0;
  const EntryNode* before = nullptr;
  in_order_.walk({}, [&](const EntryNode& entry) {
    check_invariant(!before || before->key < entry.key, "lease table: keys are out of order");
    check_invariant(by_key_.find(entry.key) == &entry, "lease table: an entry is listed that its key does not find");
    in_order_.walk(entry.key, [&](const EntryNode& found) {
      check_invariant(&found == &entry, "lease table: the listing that begins at a key begins elsewhere");
      return false;
    });
    bool revisions_fit = kAbsent < entry.created && entry.created <= entry.revision && entry.revision <= revision_;
    check_invariant(revisions_fit, "lease table: the revisions of an entry make no sense");
    check_invariant(entry.lease != nullptr, "lease table: an entry hangs on no lease");
    before = &entry;
    ++entries;
    return true;
  });
  check_invariant(entries == by_key_.size(), "lease table: not every key that is known is listed");
}

std::size_t LeaseTable::check_lease(const LeaseNode& lease) const {
  check_invariant(leases_.find(lease.id) == &lease, "lease table: a lease is not found by its id");
  check_invariant(lease.ttl >= Ttl{1}, "lease table: a lease has a ttl of less than a second");
  std::size_t entries = 0;
  for (const EntryNode& entry : lease.entries) {
    check_invariant(entry.lease == &lease, "lease table: a lease has an entry that hangs on another one");
    check_invariant(by_key_.find(entry.key) == &entry, "lease table: a lease has an entry that its key does not find");
    ++entries;
  }
  return entries;
}

}  // namespace sharedlock
