#pragma once

#include <array>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>

namespace sharedlock {

// Finds nodes by key through a hash, spread over many small tables: growing rehashes one of them at a time, so that no
// insertion stalls for long however many nodes there are. The nodes belong to the caller and must outlive their stay.
// Not thread-safe.
//
// `Traits` has: Key (cheap to copy), Key key_of(const Node&), std::size_t hash(Key).
template <class Node, class Traits>
class ShardedIndex {
 public:
  using Key = typename Traits::Key;

  Node* find(Key key) const {
    Probe probe{key, Traits::hash(key)};
    const Shard& shard = shards_[shard_of(probe.hash)];
    auto found = shard.find(probe);
    return found == shard.end() ? nullptr : *found;
  }

  // No node of that key may be in.
  void insert(Node& node) {
    shards_[shard_of(Traits::hash(Traits::key_of(node)))].insert(&node);
    ++size_;
  }

  // The node must be in.
  void erase(Node& node) {
    Key key = Traits::key_of(node);
    Probe probe{key, Traits::hash(key)};
    size_ -= shards_[shard_of(probe.hash)].erase(probe);
  }

  std::size_t size() const { return size_; }

 private:
  struct Probe {  // a key whose hash is known
    Key key;
    std::size_t hash;
  };
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(const Probe& probe) const { return probe.hash; }
    std::size_t operator()(const Node* node) const { return Traits::hash(Traits::key_of(*node)); }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Node* a, const Node* b) const { return a == b; }
    bool operator()(const Probe& probe, const Node* node) const { return probe.key == Traits::key_of(*node); }
    bool operator()(const Node* node, const Probe& probe) const { return probe.key == Traits::key_of(*node); }
  };
  using Shard = boost::unordered_flat_set<Node*, Hash, Equal>;

  static constexpr std::size_t kShards = 1024;
  // The tables use the hash's low and high bits themselves; the shard goes by some in between.
  static std::size_t shard_of(std::size_t hash) { return (hash >> 24) % kShards; }

  std::array<Shard, kShards> shards_;
  std::size_t size_ = 0;
};

}  // namespace sharedlock
