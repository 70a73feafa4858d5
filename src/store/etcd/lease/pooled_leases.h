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
// that must live until `end` may join a lease only if that surely lives until then: its safe end is the moment of the
// first sending of its grant plus its ttl, but for a second (R17, R34); never does `expiry` decide, which knows whole
// seconds only. And only if that is no more than 2 s later. Not thread-safe.
//
// It goes by the clocks of this machine, which may have stood still since a lease was granted: a request that
// joins an older one has etcd asked whether it lives for that long (R34), which is told in whole seconds, rounded down.
class PooledLeases {
 public:
  // How many entries may ever be put under one lease: revoking it, etcd erases them all at once.
  static constexpr std::size_t kMostEntries = 200;

  struct Order {  // a lease that is to be granted
    LeaseId id;
    Ttl ttl;
  };
  struct Place {
    LeaseId id;
    BootTime sent;               // not later than the first sending of its grant
    bool granted;                // otherwise it is being granted
    std::optional<Order> order;  // what the caller is to grant: this very lease
    std::vector<Order> ahead;    // and these, so that others need not wait when this one is full
  };

  // Takes places, all under one lease, for entries that must live until `end`; no more than kMostEntries.
  Place join(BootTime end, Moment now, std::size_t entries = 1);

  // What became of an order: the ttl that was answered, or nothing.
  void granted(LeaseId id, Ttl ttl);

  // It could not be granted, or has ended: nobody joins it any more.
  void drop(LeaseId id);
  // The clocks stood still: nobody joins what was asked for before that moment.
  void drop_sent_before(BootTime moment);

  // Leases that may still be joined.
  std::size_t size() const { return open_.size(); }

  // Ends the process where a lease makes no sense: one that is not a shared one, has more places than may share it, or
  // has ended before it was asked for. In Debug builds the calls above do so themselves, at the pace of CheckPace.
  void check_invariants() const;

 private:
  struct Lease {
    LeaseId id;
    Moment sent;  // not later than the first sending of its grant
    BootTime safe_end;
    BootTime joined;                    // last
    std::size_t places = kMostEntries;  // that are left
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
