#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "store/lease_store.h"

namespace sharedlock {

// Both clocks at one moment.
struct Moment {
  BootTime boot;
  WallTime wall;
};

// Which entries may share a lease, so that one grant serves many: those that end at about the same time. Pure. An entry
// that must live until `end` may join a lease only if that surely lives until then: its safe end is the first sending
// of its grant plus its ttl, less a second (R17, R34); `expiry`, in whole seconds, never decides. And only if that is
// no more than 2 s later. Not thread-safe.
//
// It goes by the clocks of this machine, which may have stood still since a lease was granted: so for a request that
// joins an older one, etcd is asked whether it lives that long (R34); it answers in whole seconds, rounded down.
class PooledLeases {
 public:
  // How many entries may ever be put under one lease: when it is revoked, etcd erases them all at once.
  static constexpr std::size_t kMostEntries = 200;

  struct Order {  // a lease to grant
    LeaseId id;
    Ttl ttl;
  };
  struct Place {
    LeaseId id;
    BootTime sent;               // no later than the first sending of its grant
    bool granted;                // false: it is still being granted
    std::optional<Order> order;  // for the caller to grant: this very lease
    std::vector<Order> ahead;    // and these, so that others need not wait when this one is full
  };

  // Takes places, all under one lease, for entries that must live until `end`; no more than kMostEntries.
  Place join(BootTime end, Moment now, std::size_t entries = 1);

  // The outcome of an order: the granted ttl, or nothing.
  void granted(LeaseId id, Ttl ttl);

  // It could not be granted, or has ended: nothing joins it any more.
  void drop(LeaseId id);
  // The clocks stood still: nothing joins leases requested before that moment.
  void drop_sent_before(BootTime moment);

  // Leases that may still be joined.
  std::size_t size() const { return open_.size(); }

  // Ends the process if a lease is inconsistent: not a shared one, with more places than may share it, or ended before
  // it was requested. In Debug builds the calls above run this themselves, at the pace of CheckPace.
  void check_invariants() const;

 private:
  struct Lease {
    LeaseId id;
    Moment sent;  // no later than the first sending of its grant
    BootTime safe_end;
    BootTime joined;                    // the last time
    std::size_t places = kMostEntries;  // still free
    bool granted = false;
  };

  Lease* find(BootTime end, std::size_t entries);
  Order order(BootTime end, Moment now);
  std::vector<Order> order_ahead(BootTime end, Moment now);
  void forget_useless(Moment now);
  void count(BootTime now, std::size_t entries);
  void check_in_turn();  // after each change

  std::vector<Lease> open_;
  // How many joined in the present second of the clock, and in the one before.
  std::chrono::seconds second_{0};
  std::size_t joined_ = 0;
  std::size_t joined_before_ = 0;
  CheckPace pace_;
};

}  // namespace sharedlock
