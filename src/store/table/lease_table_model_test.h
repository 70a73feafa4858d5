#pragma once

// The simplest thing that could be right, for LeaseTable to agree with.
#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <ratio>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "store/lease_store.h"

namespace sharedlock::model {

enum class Kind { own, pooled, session };

struct ModelLease {
  Kind kind = Kind::own;
  Ttl ttl{};
  BootTime end{};
  int started = 0;  // of leases that end at the same time, the one that was started or renewed first goes first
};

// What is compared of each answer.
using Effect = std::tuple<std::string, std::optional<Entry>, std::optional<Entry>>;
using Effects = std::vector<Effect>;
struct Answer {
  std::optional<Errc> error{};
  Revision revision{};  // of Committed; as_of of Conflict
  LeaseId lease{};
  Ttl ttl{};
  Few<std::optional<Entry>> current{};
  std::vector<bool> occupied{};

  bool operator==(const Answer&) const = default;
};

class Model {
 public:
  explicit Model(Revision last) : revision(last) {}

  // The ids that the table drew; the model takes the same.
  std::deque<LeaseId> drawn;
  Revision revision;
  std::map<std::string, Entry> entries;
  std::map<LeaseId, ModelLease> leases;

  Answer commit(const Transaction& transaction, BootTime now, Effects* effects) {
    if (!valid(transaction)) return {.error = Errc::invalid_argument};
    if (auto lost = conflict(transaction)) return *lost;
    if (uses_a_used_lease(transaction)) return {.error = Errc::lease_in_use};
    bool changes = std::ranges::any_of(transaction.changes, [&](const Mutation& change) {
      return std::holds_alternative<Put>(change) || entries.contains(std::get<Erase>(change).key);
    });
    if (changes) revision = next();
    Answer answer{.revision = revision};
    for (const Mutation& change : transaction.changes) {
      if (auto* erase = std::get_if<Erase>(&change)) {
        if (entries.contains(erase->key)) gone(erase->key, effects);
        continue;
      }
      const Put& put = std::get<Put>(change);
      LeaseId lease = start(put.lifetime, now);
      auto old = entries.find(put.key);
      Revision created = old == entries.end() ? revision : old->second.created;
      LeaseId old_lease = old == entries.end() ? LeaseId{} : old->second.lease;
      entries[put.key] = {.value = put.value, .lease = lease, .created = created, .revision = revision};
      drop_if_pooled_and_empty(old_lease);
      effects->emplace_back(put.key, entries[put.key], std::nullopt);
      if (std::holds_alternative<OwnLease>(put.lifetime)) {
        answer.lease = lease;
        answer.ttl = leases[lease].ttl;
      }
    }
    return answer;
  }

  Answer keep_alive(LeaseId id, const std::string& under, BootTime now) {
    if (!is_own(id) || keys_of(id, under).empty()) return {.error = Errc::lease_not_found};
    tick(leases[id], now);
    return {.ttl = leases[id].ttl};
  }

  Answer revoke(LeaseId id, const std::string& under, Effects* effects) {
    bool touched = is_own(id) && (under.empty() || !keys_of(id, under).empty());
    if (!touched) return {.error = Errc::lease_not_found};
    end(id, effects);
    return {};
  }

  bool expire_one(BootTime now, Effects* effects) {
    auto first = first_to_end();
    if (first == leases.end() || first->second.end > now) return false;
    end(first->first, effects);
    return true;
  }

  BootTime next_expiry() {
    auto first = first_to_end();
    return first == leases.end() ? BootTime::max() : first->second.end;
  }

  std::vector<std::string> keys_of(LeaseId id, const std::string& under = "") const {
    std::vector<std::string> keys;
    for (const auto& [key, entry] : entries) {
      if (entry.lease == id && key.starts_with(under)) keys.push_back(key);
    }
    return keys;
  }

 private:
  Revision next() const { return Revision{number_of(revision) + 1}; }
  bool is_own(LeaseId id) const { return leases.contains(id) && leases.at(id).kind == Kind::own; }

  static bool valid(const Transaction& transaction) {
    std::map<std::string, int> changed;
    int own_leases = 0;
    for (const Mutation& change : transaction.changes) {
      const Put* put = std::get_if<Put>(&change);
      const std::string& key = put ? put->key : std::get<Erase>(change).key;
      if (key.empty() || ++changed[key] > 1) return false;
      if (!put) continue;
      if (auto* pooled = std::get_if<PooledLease>(&put->lifetime); pooled && pooled->ttl < Ttl{1}) return false;
      auto* own = std::get_if<OwnLease>(&put->lifetime);
      if (own && (++own_leases > 1 || own->ttl < Ttl{1} || (own->id && number_of(*own->id) <= 0))) return false;
    }
    return std::ranges::none_of(transaction.expect, [](const Expect& expect) { return expect.key.empty(); });
  }

  std::optional<Answer> conflict(const Transaction& transaction) const {
    Answer conflict{.revision = revision};
    bool lost = false;
    for (const Expect& expect : transaction.expect) {
      auto found = entries.find(expect.key);
      lost |= (found == entries.end() ? kAbsent : found->second.revision) != expect.at;
      conflict.current.push_back(found == entries.end() ? std::nullopt : std::optional(found->second));
    }
    for (const std::string& prefix : transaction.none_under) {
      bool occupied = std::ranges::any_of(entries, [&](const auto& entry) { return entry.first.starts_with(prefix); });
      lost |= occupied;
      conflict.occupied.push_back(occupied);
    }
    return lost ? std::optional(conflict) : std::nullopt;
  }

  bool uses_a_used_lease(const Transaction& transaction) const {
    return std::ranges::any_of(transaction.changes, [&](const Mutation& change) {
      const Put* put = std::get_if<Put>(&change);
      const OwnLease* own = put ? std::get_if<OwnLease>(&put->lifetime) : nullptr;
      if (!own || !own->id || !leases.contains(*own->id)) return false;
      return !is_own(*own->id) || !keys_of(*own->id).empty();
    });
  }

  LeaseId draw() {
    while (leases.contains(drawn.at(0))) drawn.pop_front();
    LeaseId id = drawn.at(0);
    drawn.pop_front();
    return id;
  }

  LeaseId start(const Lifetime& lifetime, BootTime now) {
    if (std::holds_alternative<SessionLease>(lifetime)) {
      for (const auto& [id, lease] : leases) {
        if (lease.kind == Kind::session) return id;
      }
      LeaseId id = draw();
      leases[id] = {.kind = Kind::session, .ttl = Ttl{8}, .end = BootTime::max()};
      return id;
    }
    auto* own = std::get_if<OwnLease>(&lifetime);
    LeaseId id = own && own->id ? *own->id : draw();
    leases[id] = {.kind = own ? Kind::own : Kind::pooled, .ttl = own ? own->ttl : std::get<PooledLease>(lifetime).ttl};
    tick(leases[id], now);
    return id;
  }

  // The end: now + ttl, up to the next quarter of a second.
  void tick(ModelLease& lease, BootTime now) {
    auto end = std::chrono::ceil<std::chrono::milliseconds>((now + lease.ttl).time_since_epoch());
    lease.end = BootTime(std::chrono::ceil<std::chrono::duration<std::int64_t, std::ratio<1, 4>>>(end));
    lease.started = ++starts_;
  }

  std::map<LeaseId, ModelLease>::iterator first_to_end() {
    auto first = leases.end();
    for (auto lease = leases.begin(); lease != leases.end(); ++lease) {
      if (lease->second.kind == Kind::session) continue;
      auto order = [](const ModelLease& one) { return std::pair(one.end, one.started); };
      if (first == leases.end() || order(lease->second) < order(first->second)) first = lease;
    }
    return first;
  }

  void drop_if_pooled_and_empty(LeaseId id) {
    bool pooled = leases.contains(id) && leases[id].kind == Kind::pooled;
    if (pooled && keys_of(id).empty()) leases.erase(id);
  }

  void gone(const std::string& key, Effects* effects) {
    Entry entry = entries.at(key);
    effects->emplace_back(key, std::nullopt, entry);
    entries.erase(key);
    drop_if_pooled_and_empty(entry.lease);
  }

  void end(LeaseId id, Effects* effects) {
    auto keys = keys_of(id);
    if (!keys.empty()) revision = next();
    for (const auto& key : keys) gone(key, effects);
    leases.erase(id);
  }

  int starts_ = 0;
};

}  // namespace sharedlock::model
