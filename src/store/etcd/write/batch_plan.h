#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
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
  bool fits(const Transaction& transaction, std::size_t bytes) const;
  bool may_change(std::string_view key) const;
  bool any_changed_under(std::string_view prefix) const;

  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  boost::unordered_flat_set<std::string_view> expected_;
  boost::unordered_flat_set<std::string_view> changed_;
  std::vector<std::string_view> empty_;  // prefixes
};

}  // namespace sharedlock
