#include "store/etcd/lease/pooled_leases.h"

#include <algorithm>

#include "store/lease_ids.h"

namespace sharedlock {

namespace {

using std::chrono::milliseconds;

// A lease lives this much longer than its first entry needs, so that others may join it.
constexpr std::chrono::seconds kSpare{1};
// This much of a lease is not relied on: etcd reports its remaining life in whole seconds, rounded down (R34).
constexpr std::chrono::seconds kRounding{1};
// etcd grants no longer leases. An entry that needs all of it gets a lease to itself.
constexpr Ttl kLongestTtl{9'000'000'000};
// No entry joins a lease that ends this much later than the entry must, unless etcd grants more than it is asked for.
constexpr std::chrono::seconds kLatest{2};
// Clocks that diverge by more show that a machine slept or was moved: time measured on one of them is doubtful.
constexpr std::chrono::seconds kMostDrift{1};
// One place is kept free per this many joins in a second, so that joins continue while a grant is under way.
constexpr std::size_t kShareAhead = 50;
constexpr std::size_t kMostAhead = 8;  // orders at once
// A lease that can be joined for less than this time is no reserve.
constexpr milliseconds kSoon{100};
constexpr std::size_t kMostOpen = 256;

}  // namespace

PooledLeases::Place PooledLeases::join(BootTime end, Moment now, std::size_t entries) {
  forget_useless(now);
  count(now.boot, entries);
  std::optional<Order> to_grant;
  Lease* lease = find(end, entries);
  if (lease == nullptr) {
    to_grant = order(end, now);
    lease = &open_.back();
  }
  lease->places -= std::min(entries, lease->places);
  lease->joined = now.boot;
  Place place{.id = lease->id, .sent = lease->sent.boot, .granted = lease->granted, .order = to_grant, .ahead = {}};
  place.ahead = order_ahead(end, now);
  check_in_turn();
  return place;
}

void PooledLeases::granted(LeaseId id, Ttl ttl) {
  for (Lease& lease : open_) {
    if (lease.id != id) continue;
    lease.safe_end = saturating_add(lease.sent.boot, ttl - kRounding);
    lease.granted = true;
  }
  check_in_turn();
}

void PooledLeases::drop(LeaseId id) {
  std::erase_if(open_, [id](const Lease& lease) { return lease.id == id; });
  check_in_turn();
}

void PooledLeases::drop_sent_before(BootTime moment) {
  std::erase_if(open_, [moment](const Lease& lease) { return lease.sent.boot < moment; });
  check_in_turn();
}

// The granted lease that ends first; if none is granted yet, one that is being granted.
PooledLeases::Lease* PooledLeases::find(BootTime end, std::size_t entries) {
  Lease* best = nullptr;
  for (Lease& lease : open_) {
    if (lease.places < entries || lease.safe_end < end || lease.safe_end > saturating_add(end, kLatest)) continue;
    bool better = !best || (lease.granted != best->granted ? lease.granted : lease.safe_end < best->safe_end);
    if (better) best = &lease;
  }
  return best;
}

PooledLeases::Order PooledLeases::order(BootTime end, Moment now) {
  Ttl needed = end > now.boot ? std::chrono::ceil<Ttl>(end - now.boot) : Ttl(0);
  Order order{random_shared_lease_id(), std::min(needed + kSpare + kRounding, kLongestTtl)};
  BootTime safe_end = saturating_add(now.boot, order.ttl - kRounding);
  open_.push_back(Lease{.id = order.id, .sent = now, .safe_end = safe_end, .joined = now.boot});
  return order;
}

std::vector<PooledLeases::Order> PooledLeases::order_ahead(BootTime end, Moment now) {
  std::vector<Order> orders;
  std::size_t wanted = std::max(joined_, joined_before_) / kShareAhead;
  std::size_t free = 0;
  for (const Lease& lease : open_) {
    if (lease.safe_end >= end + kSoon && lease.safe_end <= saturating_add(end, kLatest)) free += lease.places;
  }
  for (; free < wanted && orders.size() < kMostAhead; free += kMostEntries) orders.push_back(order(end, now));
  return orders;
}

void PooledLeases::forget_useless(Moment now) {
  std::erase_if(open_, [&](const Lease& lease) {
    auto drift = (now.wall - lease.sent.wall) - (now.boot - lease.sent.boot);
    return lease.places == 0 || lease.safe_end <= now.boot || std::chrono::abs(drift) > kMostDrift;
  });
  if (open_.size() < kMostOpen) return;
  open_.erase(std::ranges::min_element(open_, {}, &Lease::joined));
}

void PooledLeases::count(BootTime now, std::size_t entries) {
  auto second = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
  if (second != second_) {
    joined_before_ = second == second_ + std::chrono::seconds(1) ? joined_ : 0;
    joined_ = 0;
    second_ = second;
  }
  joined_ += entries;
}

// Two leases may have one id: ids are drawn, and of two with the same id etcd grants one.
void PooledLeases::check_invariants() const {
  for (const Lease& lease : open_) {
    check_invariant(is_shared_lease(lease.id), "pooled leases: a lease has the id of one that is not shared");
    check_invariant(lease.places <= kMostEntries, "pooled leases: a lease has more places than may share it");
    check_invariant(lease.sent.boot <= lease.safe_end, "pooled leases: a lease has ended before it was asked for");
  }
}

void PooledLeases::check_in_turn() {
  if (pace_.due([this] { return open_.size(); })) check_invariants();
}

}  // namespace sharedlock
