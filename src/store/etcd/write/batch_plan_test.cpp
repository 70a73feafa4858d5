#include "store/etcd/write/batch_plan.h"

#include <gtest/gtest.h>

#include <string>

namespace sharedlock {
namespace {

Put put(std::string key) {
  return Put{std::move(key), "value", PooledLease{Ttl{10}}};
}

Transaction put_if_absent(std::string key) {
  Transaction transaction;
  transaction.expect.push_back({key, kAbsent});
  transaction.changes.emplace_back(put(std::move(key)));
  return transaction;
}

// A newcomer's try, which must not overtake queued requests.
Transaction take_unless_waited_for(const std::string& lock) {
  Transaction transaction = put_if_absent(lock);
  transaction.none_under.push_back("line/" + lock + "/");
  return transaction;
}

Transaction join_line(const std::string& lock, const std::string& place) {
  return put_if_absent("line/" + lock + "/" + place);
}

Transaction erase(std::string key, Revision seen) {
  Transaction transaction;
  transaction.expect.push_back({key, seen});
  transaction.changes.emplace_back(Erase{std::move(key)});
  return transaction;
}

bool go_together(const Transaction& first, const Transaction& second) {
  EtcdBatchPlan plan;
  EXPECT_TRUE(plan.take(first, 100));
  return plan.take(second, 100);
}

TEST(EtcdBatchPlan, SafetyR15_TransactionsOnDifferentKeysGoTogether) {
  EXPECT_TRUE(go_together(put_if_absent("a"), put_if_absent("b")));
  EXPECT_TRUE(go_together(put_if_absent("a"), erase("b", Revision{7})));
  EXPECT_TRUE(go_together(take_unless_waited_for("a"), take_unless_waited_for("b")));
  EXPECT_TRUE(go_together(take_unless_waited_for("a"), join_line("b", "1")));
}

TEST(EtcdBatchPlan, SafetyR15_NoKeyIsChangedTwice) {
  EXPECT_FALSE(go_together(put_if_absent("a"), put_if_absent("a")));
  EXPECT_FALSE(go_together(put_if_absent("a"), erase("a", Revision{7})));
  EXPECT_FALSE(go_together(erase("a", Revision{7}), put_if_absent("a")));
}

TEST(EtcdBatchPlan, SafetyR15_NoKeyIsChangedThatAnotherExpects) {
  Transaction guarded = put_if_absent("a");
  guarded.expect.push_back({"b", Revision{5}});
  EXPECT_FALSE(go_together(guarded, erase("b", Revision{5})));
  EXPECT_FALSE(go_together(erase("b", Revision{5}), guarded));
}

// Both would find what they expect, and both would succeed.
TEST(EtcdBatchPlan, SafetyR15_NoKeyIsChangedUnderAPrefixThatMustBeEmpty) {
  EXPECT_FALSE(go_together(take_unless_waited_for("a"), join_line("a", "1")));
  EXPECT_FALSE(go_together(join_line("a", "1"), take_unless_waited_for("a")));
}

TEST(EtcdBatchPlan, SafetyR15_TwoMayExpectTheSame) {
  Transaction one = put_if_absent("a");
  Transaction other = put_if_absent("b");
  for (Transaction* transaction : {&one, &other}) transaction->expect.push_back({"common", Revision{5}});
  EXPECT_TRUE(go_together(one, other));
}

TEST(EtcdBatchPlan, SafetyR15_ARefusedTransactionIsNotPartOfThePlan) {
  EtcdBatchPlan plan;
  auto first = put_if_absent("a");
  Transaction refused = put_if_absent("a");
  refused.changes.emplace_back(put("b"));
  auto second = put_if_absent("b");
  EXPECT_TRUE(plan.take(first, 100));
  EXPECT_FALSE(plan.take(refused, 100));
  EXPECT_TRUE(plan.take(second, 100));
}

TEST(EtcdBatchPlan, SafetyR17_IsBoundedByCount) {
  std::vector<Transaction> transactions;
  for (int i = 0; i < 65; ++i) transactions.push_back(put_if_absent(std::to_string(i)));
  EtcdBatchPlan plan;
  for (int i = 0; i < 64; ++i) EXPECT_TRUE(plan.take(transactions[static_cast<std::size_t>(i)], 100));
  EXPECT_FALSE(plan.take(transactions[64], 100));
}

TEST(EtcdBatchPlan, SafetyR17_IsBoundedByBytes) {
  auto one = put_if_absent("a");
  auto other = put_if_absent("b");
  auto small = put_if_absent("c");
  EtcdBatchPlan plan;
  EXPECT_TRUE(plan.take(one, 700'000));
  EXPECT_FALSE(plan.take(other, 400'000));
  EXPECT_TRUE(plan.take(small, 300'000));

  EtcdBatchPlan large;
  EXPECT_TRUE(large.take(one, 3'000'000)) << "etcd itself will say that it is too large";
}

}  // namespace
}  // namespace sharedlock
