#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "store/lease_store.h"

namespace sharedlock {

// What a RefusalCache has done so far.
struct RefusalCacheCounts {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t filled = 0;
  std::uint64_t updated = 0;
  std::uint64_t evicted = 0;  // to make room
  std::uint64_t ended = 0;    // the watch said that the key is free
};

// Stands for the lease under which a key is held, where the entry does not show it. No lease has that id.
inline constexpr LeaseId kNotShown{0};

// Remembers which lease holds which key, so that the next request is refused without asking the store; the least
// recently used keys are forgotten. A watch keeps it true (R29): a key that is released or expires leaves it at once,
// and it answers nothing while the watch is not known to be live. It may still be behind by as long as an event takes
// to arrive, so it serves for refusals only. A renewal is an event too, but changes nothing here. Thread-safe.
class RefusalCache {
 public:
  // At most `size` entries (>= 1).
  explicit RefusalCache(std::size_t size) : size_(size) {}

  // Follows the store's entries under `prefix`. The subscription must end before the cache does.
  [[nodiscard]] Subscription follow(LeaseStore& store, std::string prefix);

  // The lease under which the key is held; nothing when that is not known.
  std::optional<LeaseId> find(const std::string& key);

  // The key was held under this lease, as of that revision. Ignored where the watch has already told of later
  // revisions: one of them may have freed the key, and no further event would come.
  void fill(const std::string& key, LeaseId holder, Revision as_of);

  // The key was, or may have been, freed by this server.
  void drop(const std::string& key);

  void on_event(const WatchEvent& event);

  RefusalCacheCounts counts() const;

 private:
  struct Held {
    std::string key;
    LeaseId holder;
  };
  using ByUse = std::list<Held>;

  void take(const Change& change);
  void clear();

  const std::size_t size_;
  mutable std::mutex mutex_;
  std::optional<Revision> told_;  // the watch has told everything up to here; nothing: it has not begun
  bool live_ = true;              // once it has begun
  ByUse by_use_;                  // the most recently used first
  std::unordered_map<std::string, ByUse::iterator> by_key_;
  RefusalCacheCounts counts_;
};

}  // namespace sharedlock
