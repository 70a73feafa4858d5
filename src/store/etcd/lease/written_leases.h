#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/lossy_map.h"
#include "store/lease_store.h"

namespace sharedlock {

// What hangs on an OwnLease that has an index entry (lease_index.h), as of that revision.
struct EtcdHeld {
  std::string key;
  std::string value;
  Ttl ttl;
  Revision created;
  Revision revision;
  LeaseId shares;  // the lease of etcd under which it stands
  BootTime end{};  // what this server promised at that revision; none if another server wrote it
};

// Leases as this server last wrote their entries, so that a keepalive or a release needs no prior read. An entry may
// have changed since, but a revision's content never does: so a commit that rests on it expects that very revision.
class EtcdWrittenLeases {
 public:
  std::optional<EtcdHeld> find(LeaseId id) const { return leases_.find(id); }

  void wrote(LeaseId id, EtcdHeld held) {
    if (held.value.size() > kLargestValue) return leases_.forget(id);
    leases_.put(id, std::move(held));
  }

  void forget(LeaseId id) { leases_.forget(id); }

 private:
  static constexpr std::size_t kLargestValue = 2048;

  LossyMap<LeaseId, EtcdHeld, 1 << 15> leases_;  // an occupied place takes some 300 bytes, and its value
};

}  // namespace sharedlock
