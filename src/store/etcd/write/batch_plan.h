#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "store/lease_store.h"

namespace sharedlock {

// Which transactions may go to etcd as one, without a difference to any of them (R15). etcd compares for all of them
// before it changes anything for one, so none may change what another looks at: a key that is expected or changed
// there, or that lies under a prefix which must be empty. Pure. The transactions must outlive the plan; not
// thread-safe.
class EtcdBatchPlan {
 public:
  static constexpr std::size_t kMostTransactions = 64;  // etcd counts each, and what is in it, up to 128
  static constexpr std::size_t kMostBytes = 1 << 20;    // etcd refuses more than one and a half

  // True: it goes with those taken before. The first always may.
  bool take(const Transaction& transaction, std::size_t bytes);

 private:
  // Hashed once, though it is looked for and then added.
  struct Key {
    explicit Key(std::string_view key) : text(key), hash(std::hash<std::string_view>()(key)) {}
    bool operator==(const Key& other) const { return hash == other.hash && text == other.text; }

    std::string_view text;
    std::size_t hash;
  };
  struct HashOf {
    using is_avalanching = void;
    std::size_t operator()(const Key& key) const { return key.hash; }
  };

  bool fits(const Transaction& transaction, std::size_t bytes) const;
  bool may_change(const Key& key) const;
  bool is_changed(const Key& key) const;
  bool any_changed_under(std::string_view prefix) const;

  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  boost::unordered_flat_map<Key, bool, HashOf> used_;  // expected or changed; true: changed
  std::vector<std::string_view> changed_;
  std::vector<std::string_view> empty_;  // prefixes
  std::vector<Key> expects_;             // of the transaction that is looked at
  std::vector<Key> changes_;             // likewise
};

}  // namespace sharedlock
