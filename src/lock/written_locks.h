#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lock/lock_record.h"

namespace sharedlock {

// Locks as this server wrote them last, so that a renewal or a release needs no look first. What stands there may have
// changed since; what a revision wrote never changes. So a commit that rests on it expects that very revision, and
// succeeds or gets a Conflict. Bounded: of the locks that share a place the last one is known. Thread-safe.
class WrittenLocks {
 public:
  std::optional<HeldLock> find(std::string_view key) const {
    std::size_t place = place_of(key);
    std::scoped_lock lock(mutex_of(place));
    const auto& written = places_[place];
    return written && written->key == key ? std::optional(written->lock) : std::nullopt;
  }

  // `lock` hangs on a lease, and its `revision` is that of the write.
  void wrote(std::string_view key, HeldLock written) {
    std::size_t place = place_of(key);
    auto now = std::make_unique<Written>(std::string(key), std::move(written));
    std::scoped_lock lock(mutex_of(place));
    places_[place].swap(now);
  }

  void forget(std::string_view key) {
    std::size_t place = place_of(key);
    std::unique_ptr<Written> gone;
    std::scoped_lock lock(mutex_of(place));
    if (places_[place] && places_[place]->key == key) places_[place].swap(gone);
  }

 private:
  struct Written {
    std::string key;
    HeldLock lock;
  };

  static constexpr std::size_t kPlaces = 1 << 14;  // each takes some 500 bytes while it is in use
  static constexpr std::size_t kMutexes = 64;

  static std::size_t place_of(std::string_view key) { return std::hash<std::string_view>()(key) % kPlaces; }
  std::mutex& mutex_of(std::size_t place) const { return mutexes_[place % kMutexes]; }

  mutable std::array<std::mutex, kMutexes> mutexes_;
  std::vector<std::unique_ptr<Written>> places_ = std::vector<std::unique_ptr<Written>>(kPlaces);
};

}  // namespace sharedlock
