#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sharedlock {

// A map with a fixed number of places: a new key evicts any other key in its place. For values that can be had
// elsewhere at a price. Thread-safe.
template <class Key, class Value, std::size_t kPlaces>
class LossyMap {
 public:
  using View = std::conditional_t<std::is_same_v<Key, std::string>, std::string_view, Key>;

  // A copy of the value; nothing when the key is absent or was evicted.
  std::optional<Value> find(View key) const {
    std::size_t place = place_of(key);
    std::scoped_lock lock(mutex_of(place));
    const auto& known = places_[place];
    return known && known->key == key ? std::optional(known->value) : std::nullopt;
  }

  void put(View key, Value value) {
    std::size_t place = place_of(key);
    auto now = std::make_unique<Known>(Key(key), std::move(value));
    std::scoped_lock lock(mutex_of(place));
    places_[place].swap(now);  // the old value is freed after the mutex
  }

  void forget(View key) {
    std::size_t place = place_of(key);
    std::unique_ptr<Known> gone;
    std::scoped_lock lock(mutex_of(place));
    if (places_[place] && places_[place]->key == key) places_[place].swap(gone);
  }

 private:
  struct Known {
    Known(Key of, Value is) : key(std::move(of)), value(std::move(is)) {}

    Key key;
    Value value;
  };

  static constexpr std::size_t kMutexes = 64;

  static std::size_t place_of(View key) { return std::hash<View>()(key) % kPlaces; }
  std::mutex& mutex_of(std::size_t place) const { return mutexes_[place % kMutexes]; }

  mutable std::array<std::mutex, kMutexes> mutexes_;
  std::vector<std::unique_ptr<Known>> places_ = std::vector<std::unique_ptr<Known>>(kPlaces);
};

}  // namespace sharedlock
