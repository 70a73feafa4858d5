#include "store/etcd/write/batch_plan.h"

#include <algorithm>

namespace sharedlock {

bool EtcdBatchPlan::take(const Transaction& transaction, std::size_t bytes) {
  if (count_ > 0 && !fits(transaction, bytes)) return false;
  ++count_;
  bytes_ += bytes;
  for (const Expect& expect : transaction.expect) expected_.insert(expect.key);
  for (const Mutation& change : transaction.changes) changed_.insert(key_of(change));
  empty_.insert(empty_.end(), transaction.none_under.begin(), transaction.none_under.end());
  return true;
}

bool EtcdBatchPlan::fits(const Transaction& transaction, std::size_t bytes) const {
  if (count_ == kMostTransactions || bytes_ + bytes > kMostBytes) return false;
  return std::ranges::all_of(transaction.changes, [this](const auto& change) { return may_change(key_of(change)); }) &&
         std::ranges::none_of(transaction.expect,
                              [this](const auto& expect) { return changed_.contains(expect.key); }) &&
         std::ranges::none_of(transaction.none_under, [this](const auto& prefix) { return any_changed_under(prefix); });
}

bool EtcdBatchPlan::may_change(std::string_view key) const {
  return !expected_.contains(key) && !changed_.contains(key) &&
         std::ranges::none_of(empty_, [key](std::string_view prefix) { return key.starts_with(prefix); });
}

bool EtcdBatchPlan::any_changed_under(std::string_view prefix) const {
  return std::ranges::any_of(changed_, [prefix](std::string_view key) { return key.starts_with(prefix); });
}

}  // namespace sharedlock
