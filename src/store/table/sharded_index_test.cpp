#include "store/table/sharded_index.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace sharedlock {
namespace {

struct Node {
  std::uint32_t key = 0;
};

struct Traits {
  using Key = std::uint32_t;
  static Key key_of(const Node& node) { return node.key; }
  static std::size_t hash(Key key) { return key * 0x9e3779b97f4a7c15ull; }
};

// All in one shard and one bucket: keys are told apart by themselves, not by their hashes.
struct CollidingTraits : Traits {
  static std::size_t hash(Key) { return 7; }
};

template <class AnyTraits>
void finds_exactly_what_is_in(std::uint32_t count) {
  std::vector<Node> nodes(count);
  ShardedIndex<Node, AnyTraits> index;
  for (std::uint32_t i = 0; i < count; ++i) {
    nodes[i].key = i;
    index.insert(nodes[i], AnyTraits::hash(i));
    ASSERT_EQ(index.size(), i + 1);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    ASSERT_EQ(index.look_up(i).node, &nodes[i]);
    ASSERT_EQ(index.look_up(i).hash, AnyTraits::hash(i));
  }
  for (std::uint32_t i = 0; i < count; i += 2) index.erase(nodes[i]);
  EXPECT_EQ(index.size(), count / 2);
  for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(index.find(i), i % 2 == 0 ? nullptr : &nodes[i]);
  EXPECT_EQ(index.find(count), nullptr);
}

TEST(ShardedIndex, FindsExactlyWhatIsIn) {
  finds_exactly_what_is_in<Traits>(100'000);
}

TEST(ShardedIndex, TellsCollidingKeysApart) {
  finds_exactly_what_is_in<CollidingTraits>(200);
}

TEST(ShardedIndex, TakesAKeyAgainAfterItsErasure) {
  Node first{42}, second{42};
  ShardedIndex<Node, Traits> index;
  index.insert(first, index.look_up(42).hash);
  index.erase(first);
  ASSERT_EQ(index.look_up(42).node, nullptr);
  index.insert(second, index.look_up(42).hash);

  EXPECT_EQ(index.find(42), &second);
  EXPECT_EQ(index.size(), 1u);
}

}  // namespace
}  // namespace sharedlock
