#pragma once

#include <atomic>
#include <concepts>
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
  // A key, as far as hints tell keys apart: made once where several calls are about it.
  class Key {
   public:
    Key(const std::convertible_to<std::string_view> auto& key) : hash_(std::hash<std::string_view>()(key)) {}

   private:
    friend PresenceHints;
    std::size_t place() const { return hash_ % kPlaces; }
    std::uint32_t mark() const { return static_cast<std::uint32_t>(hash_ >> 32) | 1; }

    std::size_t hash_;
  };

  bool is_present(Key key) const { return places_[key.place()] == key.mark(); }

  void present(Key key) { places_[key.place()] = key.mark(); }

  void absent(Key key) {
    std::uint32_t mark = key.mark();
    places_[key.place()].compare_exchange_strong(mark, 0);
  }

 private:
  using Place = std::atomic<std::uint32_t>;

  static constexpr std::size_t kPlaces = 1 << 15;

  std::vector<Place> places_ = std::vector<Place>(kPlaces);
};

}  // namespace sharedlock
