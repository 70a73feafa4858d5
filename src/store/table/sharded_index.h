#pragma once

#include <array>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>

namespace sharedlock {

// Finds nodes by key through a hash, spread over many small tables: growing rehashes one of them at a time, so no
// insertion stalls for long, however many nodes there are. The nodes belong to the caller and must outlive their stay.
// Not thread-safe.
//
// `Traits` has: Key (cheap to copy), Key key_of(const Node&), std::size_t hash(Key).
template <class Node, class Traits>
class ShardedIndex {
 public:
  using Key = typename Traits::Key;

  // What is known of a key once it was looked up, so that it need not be hashed again.
  struct Place {
    std::size_t hash;
    Node* node;  // null: not in
  };

  Place look_up(Key key) const {
    Probe probe{key, Traits::hash(key)};
    const Shard& shard = shards_[shard_of(probe.hash)];
    auto found = shard.find(probe);
    return {probe.hash, found == shard.end() ? nullptr : found->node};
  }

  Node* find(Key key) const { return look_up(key).node; }

  // No node with that key may be in. `hash`: of the key, as look_up() says.
  void insert(Node& node, std::size_t hash) {
    shards_[shard_of(hash)].insert(Slot{hash, &node});
    ++size_;
  }

  // The node must be in.
  void erase(Node& node) {
    Slot slot{Traits::hash(Traits::key_of(node)), &node};
    size_ -= shards_[shard_of(slot.hash)].erase(slot);
  }

  std::size_t size() const { return size_; }

 private:
  // With the hash stored, a growing table doesn't read its nodes, which are in no cache.
  struct Slot {
    std::size_t hash;
    Node* node;
  };
  struct Probe {
    Key key;
    std::size_t hash;
  };
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    template <class SlotOrProbe>
    std::size_t operator()(const SlotOrProbe& what) const {
      return what.hash;
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Slot& a, const Slot& b) const { return a.node == b.node; }
    bool operator()(const Probe& probe, const Slot& slot) const {
      return probe.hash == slot.hash && probe.key == Traits::key_of(*slot.node);
    }
    bool operator()(const Slot& slot, const Probe& probe) const { return (*this)(probe, slot); }
  };
  using Shard = boost::unordered_flat_set<Slot, Hash, Equal>;

  static constexpr std::size_t kShards = 1024;
  // The tables use the hash's low and high bits themselves; the shard is chosen by some in between.
  static std::size_t shard_of(std::size_t hash) { return (hash >> 24) % kShards; }

  std::array<Shard, kShards> shards_;
  std::size_t size_ = 0;
};

}  // namespace sharedlock
