#include "store/table/lease_table.h"

#include <algorithm>
#include <boost/container_hash/hash.hpp>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/random.h"

namespace sharedlock {

namespace {

// The ttl reported for a SessionLease: the time that a dead server's session takes to end on etcd.
constexpr Ttl kSessionTtl{8};

// Leases end in ticks: all that end within the same quarter of a second share a list, so that starting, renewing and
// ending one needs no search through all of them. A lease ends at the end of its tick, so at most one tick late.
constexpr std::int64_t kWheelTick = std::chrono::nanoseconds(std::chrono::milliseconds(250)).count();

std::int64_t tick_of(BootTime end) {
  std::int64_t nanoseconds = end.time_since_epoch().count();
  return nanoseconds / kWheelTick + (nanoseconds % kWheelTick > 0 ? 1 : 0);
}

BootTime time_of(std::int64_t tick) {
  constexpr std::int64_t kLastTick = BootTime::max().time_since_epoch().count() / kWheelTick;
  return tick > kLastTick ? BootTime::max() : BootTime(std::chrono::nanoseconds(tick * kWheelTick));
}

// Drawn once per process, so that outsiders can't choose colliding keys.
std::size_t hash_seed() {
  static const std::size_t seed = random_bits();
  return seed;
}

Error no_lease() {
  return {Errc::lease_not_found, "no such lease"};
}

}  // namespace

std::size_t LeaseTable::EntryTraits::hash(Key key) {
  std::size_t seed = hash_seed();
  boost::hash_combine(seed, key.size());
  std::uint64_t piece = 0;
  for (; key.size() > sizeof piece; key.remove_prefix(sizeof piece)) {
    std::memcpy(&piece, key.data(), sizeof piece);
    boost::hash_combine(seed, piece);
  }
  piece = 0;
  key.copy(reinterpret_cast<char*>(&piece), sizeof piece);
  boost::hash_combine(seed, piece);
  return seed;
}

std::size_t LeaseTable::LeaseTraits::hash(Key key) {
  std::size_t seed = hash_seed();
  boost::hash_combine(seed, number_of(key));
  return seed;
}

Entry LeaseTable::EntryNode::entry() const {
  return {value, lease->id, created, revision};
}

LeaseTable::LeaseTable(Revision last, FreshId fresh_id, LeaseObserver* observer)
    : revision_(last), fresh_id_(std::move(fresh_id)), observer_(observer) {}

LeaseTable::~LeaseTable() {
  for (auto& [number, tick] : ending_) {
    tick.leases.clear_and_dispose([](LeaseNode* lease) {
      lease->entries.clear();
      delete lease;
    });
  }
  if (session_) session_->entries.clear();
  delete session_;
  in_order_.clear_and_dispose([](EntryNode* node) { delete node; });
}

std::optional<Entry> LeaseTable::entry_of(const EntryNode* node) {
  return node ? std::optional(node->entry()) : std::nullopt;
}

std::optional<Entry> LeaseTable::get(std::string_view key) const {
  return entry_of(by_key_.find(key));
}

Listing LeaseTable::list(std::string_view prefix, std::string_view after, std::size_t limit) const {
  Listing listing;
  listing.as_of = revision_;
  in_order_.walk(std::max(after, prefix), [&](const EntryNode& node) {
    if (!node.key.starts_with(prefix)) return false;
    if (node.key == after) return true;
    listing.more = listing.entries.size() == limit;
    if (!listing.more) listing.entries.emplace_back(node.key, node.entry());
    return !listing.more;
  });
  return listing;
}

std::optional<LeaseInfo> LeaseTable::lease(LeaseId id, BootTime now) const {
  const LeaseNode* node = leases_.find(id);
  if (!node) return std::nullopt;
  LeaseInfo info{.granted = node->ttl, .left = node->ttl, .keys = {}};
  if (node->kind != Kind::session) {
    auto left = std::chrono::floor<Ttl>(time_of(node->tick->number) - now);
    info.left = std::clamp(left, Ttl{0}, node->ttl);
  }
  for (const EntryNode& entry : node->entries) info.keys.push_back(entry.key);
  std::ranges::sort(info.keys);
  bool shows_it = node->kind == Kind::own && info.keys.size() == 1;
  if (shows_it) info.only_entry = node->entries.begin()->entry();
  return info;
}

std::optional<LeaseLife> LeaseTable::lease_life(LeaseId id) const {
  const LeaseNode* node = leases_.find(id);
  if (!node) return std::nullopt;
  BootTime end = node->kind == Kind::session ? BootTime::max() : time_of(node->tick->number);
  return LeaseLife{end, end};
}

LeaseTable::LeaseNode* LeaseTable::own_lease(LeaseId id, std::string_view under) const {
  LeaseNode* lease = leases_.find(id);
  if (!lease || lease->kind != Kind::own) return nullptr;
  auto is_under = [&](const EntryNode& entry) { return entry.key.starts_with(under); };
  return std::ranges::any_of(lease->entries, is_under) ? lease : nullptr;
}

Result<Ttl> LeaseTable::check_alive(LeaseId id, std::string_view under) const {
  const LeaseNode* lease = own_lease(id, under);
  if (!lease) return no_lease();
  return lease->ttl;
}

Result<Ttl> LeaseTable::keep_alive(LeaseId id, std::string_view under, BootTime now) {
  LeaseNode* lease = own_lease(id, under);
  if (!lease) return no_lease();
  stop_ticking(*lease);
  start_ticking(*lease, now);
  check_in_turn();
  return lease->ttl;
}

Result<void> LeaseTable::revoke(LeaseId id, std::string_view under, std::vector<Change>* changes) {
  LeaseNode* lease = under.empty() ? leases_.find(id) : own_lease(id, under);
  if (!lease || lease->kind != Kind::own) return no_lease();
  end_lease(*lease, changes);
  check_in_turn();
  return {};
}

bool LeaseTable::expire_one(BootTime now, std::vector<Change>* changes) {
  if (ending_.empty() || next_expiry() > now) return false;
  end_lease(ending_.begin()->second.leases.front(), changes);
  check_in_turn();
  return true;
}

BootTime LeaseTable::next_expiry() const {
  return ending_.empty() ? BootTime::max() : time_of(ending_.begin()->first);
}

LeaseId LeaseTable::unused_id() {
  LeaseId id = fresh_id_();
  while (leases_.find(id)) id = fresh_id_();
  return id;
}

LeaseTable::LeaseNode& LeaseTable::new_lease(LeaseId id, Kind kind, Ttl ttl) {
  auto lease = std::make_unique<LeaseNode>();
  lease->id = id;
  lease->kind = kind;
  lease->ttl = ttl;
  leases_.insert(*lease, LeaseTraits::hash(id));
  return *lease.release();
}

LeaseTable::LeaseNode& LeaseTable::lease_for(const Lifetime& lifetime, BootTime now) {
  if (std::holds_alternative<SessionLease>(lifetime)) {
    if (!session_) session_ = &new_lease(unused_id(), Kind::session, kSessionTtl);
    return *session_;
  }
  if (auto* own = std::get_if<OwnLease>(&lifetime)) {
    if (LeaseNode* empty = own->id ? leases_.find(*own->id) : nullptr) {
      stop_ticking(*empty);
      empty->ttl = own->ttl;
      start_ticking(*empty, now);
      tell(*empty);
      return *empty;
    }
    return begin_lease(own->id ? *own->id : unused_id(), Kind::own, own->ttl, now);
  }
  if (auto* until = std::get_if<PooledUntil>(&lifetime)) {
    Ttl left = std::chrono::ceil<Ttl>(std::max(until->end, now) - now);
    LeaseNode& lease = begin_lease(unused_id(), Kind::pooled, std::max(left, Ttl{1}), now);
    stop_ticking(lease);
    end_at(lease, until->end);
    return lease;
  }
  return begin_lease(unused_id(), Kind::pooled, std::get<PooledLease>(lifetime).ttl, now);
}

LeaseTable::LeaseNode& LeaseTable::begin_lease(LeaseId id, Kind kind, Ttl ttl, BootTime now) {
  LeaseNode& lease = new_lease(id, kind, ttl);
  start_ticking(lease, now);
  tell(lease);
  return lease;
}

void LeaseTable::tell(const LeaseNode& lease) {
  if (observer_) observer_->on_lease(lease.id, lease.kind == Kind::own, lease.ttl);
}

void LeaseTable::start_ticking(LeaseNode& lease, BootTime now) {
  end_at(lease, saturating_add(now, lease.ttl));
}

void LeaseTable::end_at(LeaseNode& lease, BootTime end) {
  std::int64_t number = tick_of(end);
  Tick& tick = ending_[number];
  tick.number = number;
  tick.leases.push_back(lease);
  lease.tick = &tick;
}

void LeaseTable::stop_ticking(LeaseNode& lease) {
  Tick& tick = *lease.tick;
  tick.leases.erase(tick.leases.iterator_to(lease));
  if (tick.leases.empty()) ending_.erase(ending_.find(tick.number));
}

void LeaseTable::drop_lease(LeaseNode& lease) {
  if (observer_) observer_->on_lease_ended(lease.id);
  stop_ticking(lease);
  leases_.erase(lease);
  delete &lease;
}

void LeaseTable::detach(EntryNode& node) {
  LeaseNode& lease = *node.lease;
  lease.entries.erase(lease.entries.iterator_to(node));
  node.lease = nullptr;
  // No caller knows a pooled lease; an own one lives on to its end, as it does on etcd.
  if (lease.kind == Kind::pooled && lease.entries.empty()) drop_lease(lease);
}

LeaseTable::EntryNode& LeaseTable::new_entry(std::string key, std::size_t hash, Revision created) {
  auto node = std::make_unique<EntryNode>();
  node->key = std::move(key);
  node->created = created;
  by_key_.insert(*node, hash);
  in_order_.insert(*node);
  return *node.release();
}

const LeaseTable::LeaseNode& LeaseTable::put(Put& put, Keys::Place at, BootTime now, std::vector<Change>* changes) {
  EntryNode* node = at.node;
  if (!std::holds_alternative<KeepLease>(put.lifetime)) {
    LeaseNode& lease = lease_for(put.lifetime, now);
    if (node) {
      detach(*node);
    } else {
      node = &new_entry(std::move(put.key), at.hash, revision_);
    }
    node->lease = &lease;
    lease.entries.push_back(*node);
  }
  node->value = std::move(put.value);
  node->revision = revision_;
  if (changes) changes->push_back({.key = node->key, .now = node->entry(), .previous = std::nullopt});
  return *node->lease;
}

void LeaseTable::erase(EntryNode& node, std::vector<Change>* changes) {
  if (changes) changes->push_back({.key = node.key, .now = std::nullopt, .previous = node.entry()});
  detach(node);
  by_key_.erase(node);
  in_order_.erase(node);
  delete &node;
}

void LeaseTable::end_lease(LeaseNode& lease, std::vector<Change>* changes) {
  if (lease.entries.empty()) {
    drop_lease(lease);
    return;
  }
  revision_ = Revision{number_of(revision_) + 1};
  // A pooled lease goes with its last entry.
  bool last_one_drops_it = lease.kind == Kind::pooled;
  while (true) {
    bool last = std::next(lease.entries.begin()) == lease.entries.end();
    erase(lease.entries.front(), changes);
    if (last) break;
  }
  if (!last_one_drops_it) drop_lease(lease);
}

bool LeaseTable::restore_lease(LeaseId id, bool own, Ttl ttl, BootTime now) {
  if (id <= LeaseId{0} || ttl < Ttl{1} || leases_.find(id)) return false;
  start_ticking(new_lease(id, own ? Kind::own : Kind::pooled, ttl), now);
  check_in_turn();
  return true;
}

bool LeaseTable::restore_entry(std::string key, Entry entry) {
  LeaseNode* lease = leases_.find(entry.lease);
  Keys::Place at = by_key_.look_up(key);
  bool revisions_fit = kAbsent < entry.created && entry.created <= entry.revision && entry.revision <= revision_;
  if (!lease || !revisions_fit || key.empty() || at.node) return false;
  EntryNode& node = new_entry(std::move(key), at.hash, entry.created);
  node.value = std::move(entry.value);
  node.revision = entry.revision;
  node.lease = lease;
  lease->entries.push_back(node);
  check_in_turn();
  return true;
}

}  // namespace sharedlock
