#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace sharedlock {

// Which keys of a store were present when this server last heard of them: only a hint. A wrong hint costs one more
// round trip to the store. An acquire or a grant of a key believed absent commits without reading first; one of a key
// believed present reads first, so that repeated refusals cost no write. Bounded: keys that share a place overwrite
// each other's hints. Thread-safe.
class PresenceHints {
 public:
  bool is_present(std::string_view key) const { return place_of(key) == mark_of(key); }

  void present(std::string_view key) { place_of(key) = mark_of(key); }

  void absent(std::string_view key) {
    std::uint32_t mark = mark_of(key);
    place_of(key).compare_exchange_strong(mark, 0);
  }

 private:
  using Place = std::atomic<std::uint32_t>;

  static constexpr std::size_t kPlaces = 1 << 15;

  static std::size_t hash(std::string_view key) { return std::hash<std::string_view>()(key); }
  static std::uint32_t mark_of(std::string_view key) { return static_cast<std::uint32_t>(hash(key) >> 32) | 1; }
  Place& place_of(std::string_view key) { return places_[hash(key) % kPlaces]; }
  const Place& place_of(std::string_view key) const { return places_[hash(key) % kPlaces]; }

  std::vector<Place> places_ = std::vector<Place>(kPlaces);
};

}  // namespace sharedlock
