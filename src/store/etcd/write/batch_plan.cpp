#include "store/etcd/write/batch_plan.h"

#include <algorithm>

namespace sharedlock {

bool EtcdBatchPlan::take(const Transaction& transaction, std::size_t bytes) {
  expects_.clear();
  changes_.clear();
  for (const Expect& expect : transaction.expect) expects_.emplace_back(expect.key);
  for (const Mutation& change : transaction.changes) changes_.emplace_back(key_of(change));
  if (count_ > 0 && !fits(transaction, bytes)) return false;
  ++count_;
  bytes_ += bytes;
  for (const Key& key : expects_) used_.try_emplace(key, false);
  for (const Key& key : changes_) {
    used_.insert_or_assign(key, true);
    changed_.push_back(key.text);
  }
  empty_.insert(empty_.end(), transaction.none_under.begin(), transaction.none_under.end());
  return true;
}

bool EtcdBatchPlan::fits(const Transaction& transaction, std::size_t bytes) const {
  if (count_ == kMostTransactions || bytes_ + bytes > kMostBytes) return false;
  return std::ranges::all_of(changes_, [this](const Key& key) { return may_change(key); }) &&
         std::ranges::none_of(expects_, [this](const Key& key) { return is_changed(key); }) &&
         std::ranges::none_of(transaction.none_under, [this](const auto& prefix) { return any_changed_under(prefix); });
}

bool EtcdBatchPlan::may_change(const Key& key) const {
  return !used_.contains(key) &&
         std::ranges::none_of(empty_, [&](std::string_view prefix) { return key.text.starts_with(prefix); });
}

bool EtcdBatchPlan::is_changed(const Key& key) const {
  auto use = used_.find(key);
  return use != used_.end() && use->second;
}

bool EtcdBatchPlan::any_changed_under(std::string_view prefix) const {
  return std::ranges::any_of(changed_, [prefix](std::string_view key) { return key.starts_with(prefix); });
}

}  // namespace sharedlock
