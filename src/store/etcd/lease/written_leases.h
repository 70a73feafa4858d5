#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
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
  BootTime end{};  // what this server promised at that revision; none where another server wrote it
};

// Leases as this server last wrote their entries, so that a keepalive or a release needs no look first. An entry may
// have changed since, but what a revision wrote never does: so a commit that rests on it expects that very revision.
// Bounded: leases that share a place forget each other. Thread-safe.
class EtcdWrittenLeases {
 public:
  std::optional<EtcdHeld> find(LeaseId id) const {
    std::size_t place = place_of(id);
    std::scoped_lock lock(mutex_of(place));
    const auto& written = places_[place];
    return written && written->id == id ? std::optional(written->held) : std::nullopt;
  }

  void wrote(LeaseId id, EtcdHeld held) {
    if (held.value.size() > kLargestValue) return forget(id);
    std::size_t place = place_of(id);
    auto now = std::make_unique<Written>(id, std::move(held));
    std::scoped_lock lock(mutex_of(place));
    places_[place].swap(now);
  }

  void forget(LeaseId id) {
    std::size_t place = place_of(id);
    std::unique_ptr<Written> gone;
    std::scoped_lock lock(mutex_of(place));
    if (places_[place] && places_[place]->id == id) places_[place].swap(gone);
  }

 private:
  struct Written {
    LeaseId id;
    EtcdHeld held;
  };

  static constexpr std::size_t kPlaces = 1 << 15;  // each takes some 300 bytes while it is in use, and its value
  static constexpr std::size_t kMutexes = 64;
  static constexpr std::size_t kLargestValue = 2048;

  static std::size_t place_of(LeaseId id) { return std::hash<std::int64_t>()(number_of(id)) % kPlaces; }
  std::mutex& mutex_of(std::size_t place) const { return mutexes_[place % kMutexes]; }

  mutable std::array<std::mutex, kMutexes> mutexes_;
  std::vector<std::unique_ptr<Written>> places_ = std::vector<std::unique_ptr<Written>>(kPlaces);
};

}  // namespace sharedlock
