#include "store/table/ordered_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sharedlock {
namespace {

struct Node {
  std::string key;
};

struct Traits {
  static std::string_view key_of(const Node& node) { return node.key; }
};

// An index beside the plain thing that it must equal.
class Both {
 public:
  void insert(const std::string& key) {
    auto [at, is_new] = expected_.try_emplace(key);
    if (!is_new) return;
    at->second = std::make_unique<Node>(Node{key});
    index_.insert(*at->second);
  }

  void erase(const std::string& key) {
    auto at = expected_.find(key);
    if (at == expected_.end()) return;
    index_.erase(*at->second);
    expected_.erase(at);
  }

  void erase_all_but_every(std::size_t nth) {
    std::vector<std::string> keys;
    keys.reserve(expected_.size());
    for (const auto& [key, node] : expected_) keys.push_back(key);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (i % nth != 0) erase(keys[i]);
    }
  }

  // Compares at most `most` keys from `from` on.
  void compare(std::string_view from, std::size_t most) const {
    auto at = expected_.lower_bound(from);
    std::size_t seen = 0;
    index_.walk(from, [&](const Node& node) {
      EXPECT_TRUE(at != expected_.end() && node.key == at->first) << "after " << seen << " keys from '" << from << "'";
      if (at != expected_.end()) ++at;
      return ++seen < most && !testing::Test::HasFailure();
    });
    EXPECT_TRUE(seen == most || at == expected_.end()) << "keys are missing behind the " << seen << " from " << from;
  }

  void compare_all() const { compare("", expected_.size() + 1); }

 private:
  std::map<std::string, std::unique_ptr<Node>, std::less<>> expected_;
  OrderedIndex<Node, Traits> index_;
};

// Keys that share long beginnings, are beginnings of others, or differ in bytes above 127 and zeros only.
std::string some_key(std::mt19937& random) {
  static const std::vector<std::string> starts = {"", "/shared-lock/", "locks/main:", "locks/.queue/main:abc/",
                                                  "\xff\xff"};
  static const std::string letters("ab\0\xff/", 5);
  std::string key = starts[random() % starts.size()];
  for (std::size_t length = random() % 14; length > 0; --length) key += letters[random() % letters.size()];
  return key;
}

TEST(OrderedIndex, WalksThroughNothing) {
  Both both;
  both.compare("", 1);
  both.compare("a", 1);
}

TEST(OrderedIndex, KeepsTheOrderOfAnyKeys) {
  std::mt19937 random(7);
  Both both;
  for (int round = 0; round < 60 && !HasFailure(); ++round) {
    bool grows = round % 10 < 6;
    for (int i = 0; i < 500; ++i) {
      std::string key = some_key(random);
      grows ? both.insert(key) : both.erase(key);
    }
    both.compare_all();
    for (int i = 0; i < 20; ++i) both.compare(some_key(random), 1 + random() % 300);
  }
}

TEST(OrderedIndex, KeepsTheOrderOfKeysThatComeInOrder) {
  for (bool forward : {true, false}) {
    Both both;
    for (int i = 0; i < 5000; ++i) both.insert(std::to_string(1'000'000 + (forward ? i : -i)));
    both.compare_all();
  }
}

TEST(OrderedIndex, KeepsFewNodesWhereManyWere) {
  Both both;
  for (int i = 0; i < 20'000; ++i) both.insert("locks/main:" + std::to_string(i));
  both.erase_all_but_every(300);
  both.compare_all();
  for (int i = 0; i < 20'000; ++i) both.insert("locks/other:" + std::to_string(i));
  both.insert("a");
  both.insert("z");
  both.compare_all();
  both.erase_all_but_every(20'000);
  both.compare_all();
}

TEST(OrderedIndex, GivesBackAllNodes) {
  std::vector<Node> nodes;
  nodes.reserve(1000);
  for (int i = 0; i < 1000; ++i) nodes.push_back({std::to_string(i)});
  OrderedIndex<Node, Traits> index;
  for (Node& node : nodes) index.insert(node);

  std::vector<std::string> disposed;
  index.clear_and_dispose([&](Node* node) { disposed.push_back(node->key); });

  EXPECT_EQ(disposed.size(), nodes.size());
  EXPECT_TRUE(std::ranges::is_sorted(disposed));
  index.walk("", [](const Node&) -> bool {
    ADD_FAILURE() << "a node is left";
    return false;
  });
}

}  // namespace
}  // namespace sharedlock
