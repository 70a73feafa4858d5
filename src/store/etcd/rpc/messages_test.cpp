#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "store/etcd/rpc/messages_grpc.h"

namespace sharedlock {
namespace {

namespace pb = etcdserverpb;

constexpr LeaseId kLease{7};

Transaction take(const std::string& lock, std::string value, Revision seen = kAbsent) {
  Transaction transaction;
  transaction.expect.push_back({lock, seen});
  transaction.none_under.push_back("line/" + lock + "/");
  transaction.changes.emplace_back(Put{lock, std::move(value), PooledLease{Ttl{10}}});
  return transaction;
}

std::string_view comparisons_of(const EncodedTxn& encoded) {
  return std::string_view(encoded.bytes).substr(0, encoded.comparing);
}

TEST(EtcdMessages, ATransactionComparesChangesAndElseLooks) {
  pb::TxnRequest request;
  ASSERT_TRUE(request.ParseFromString(encode_txn(take("a", "v", Revision{5}), {kLease}).bytes));

  ASSERT_EQ(request.compare_size(), 2);
  EXPECT_EQ(request.compare(0).key(), "a");
  EXPECT_EQ(request.compare(0).mod_revision(), 5);
  EXPECT_EQ(request.compare(1).key(), "line/a/");
  EXPECT_EQ(request.compare(1).range_end(), "line/a0");

  ASSERT_EQ(request.success_size(), 1);
  EXPECT_EQ(request.success(0).request_put().value(), "v");
  EXPECT_EQ(request.success(0).request_put().lease(), number_of(kLease));

  ASSERT_EQ(request.failure_size(), 2);
  EXPECT_EQ(request.failure(0).request_range().key(), "a");
  EXPECT_EQ(request.failure(1).request_range().key(), "line/a/");
  EXPECT_EQ(request.failure(1).request_range().limit(), 1);
}

TEST(EtcdMessages, WhatATransactionComparesComesFirst) {
  EncodedTxn encoded = encode_txn(take("a", "v"), {kLease});
  pb::TxnRequest comparing;
  ASSERT_TRUE(comparing.ParseFromString(std::string(comparisons_of(encoded))));
  EXPECT_EQ(comparing.compare_size(), 2);
  EXPECT_EQ(comparing.success_size() + comparing.failure_size(), 0);

  EXPECT_EQ(comparisons_of(encoded), comparisons_of(encode_txn(take("a", "another"), {kLease})));
  EXPECT_NE(comparisons_of(encoded), comparisons_of(encode_txn(take("b", "v"), {kLease})));
  EXPECT_NE(comparisons_of(encoded), comparisons_of(encode_txn(take("a", "v", Revision{5}), {kLease})));
}

TEST(EtcdMessages, WhereATransactionDidNotSucceedItsAnswerTellsWhatWasFound) {
  pb::TxnResponse response;
  pb::KeyValue& present = *response.add_responses()->mutable_response_range()->add_kvs();
  present.set_value("theirs");
  present.set_mod_revision(8);
  response.add_responses()->mutable_response_range();

  auto answer = decode_txn_answer(response.SerializeAsString(), Revision{9});
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->succeeded);
  EXPECT_EQ(answer->as_of, Revision{9});
  ASSERT_EQ(answer->found.size(), 2U);
  EXPECT_EQ(answer->found[0].kvs(0).value(), "theirs");
  EXPECT_EQ(answer->found[1].kvs_size(), 0);

  response.set_succeeded(true);
  answer = decode_txn_answer(response.SerializeAsString(), Revision{9});
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(answer->succeeded);
}

TEST(EtcdMessages, AnUnreadableAnswerIsNoAnswer) {
  EXPECT_FALSE(decode_txn_answer("no message", Revision{9}).has_value());
}

}  // namespace
}  // namespace sharedlock
