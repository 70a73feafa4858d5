#include <etcd.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/etcd/rpc/nested_grpc.h"
#include "store/etcd/witness/guard_grpc.h"

namespace sharedlock {
namespace {

namespace pb = etcdserverpb;

std::string any_text(std::mt19937_64& random) {
  static constexpr std::array<std::size_t, 9> kSizes{0, 1, 2, 60, 120, 126, 127, 128, 17'000};
  std::string text(kSizes[random() % kSizes.size()], '\0');
  for (char& byte : text) byte = static_cast<char>(random());
  return text;
}

std::int64_t any_number(std::mt19937_64& random) {
  return 1 + static_cast<std::int64_t>(random() >> (1 + random() % 62));
}

TEST(EtcdNested, ARequestIsWrittenAsProtobufWritesIt) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 1000; ++round) {
    pb::TxnRequest expected;
    EtcdNestedRequest request;
    Revision first{any_number(random)};
    expect_revision(expected, "witness", first);
    expect_revision(request.comparing, "witness", Revision{any_number(random)});
    Revision epoch = random() % 4 == 0 ? kAbsent : Revision{any_number(random)};
    expect_revision(expected, "epoch", epoch);
    expect_revision(request.comparing, "epoch", epoch);
    for (auto count = random() % 65; count > 0; --count) {
      std::string transaction = any_text(random);
      expected.add_success()->set_request_txn(transaction);
      request.nest(transaction);
    }
    pb::TxnRequest more;
    more.add_success()->mutable_request_put()->set_key(any_text(random));
    more.add_failure()->mutable_request_range()->set_key("k");
    expected.MergeFrom(more);
    more.AppendToString(&request.rest);
    // Each attempt is compared with what is confirmed by then.
    renew_guard(request.comparing, first);
    renew_guard(expected, first);
    EXPECT_TRUE(request.comparing.SerializeAsString() + request.rest == expected.SerializeAsString()) << round;
  }
}

bool read(EtcdNestedResponse& into, const std::string& bytes) {
  return into.read(std::vector<char>(bytes.begin(), bytes.end()));
}

void expect_equal(const pb::ResponseHeader& read, const pb::ResponseHeader& expected, int round) {
  EXPECT_EQ(read.cluster_id(), expected.cluster_id()) << round;
  EXPECT_EQ(read.member_id(), expected.member_id()) << round;
  EXPECT_EQ(read.revision(), expected.revision()) << round;
  EXPECT_EQ(read.raft_term(), expected.raft_term()) << round;
}

void expect_equal(const EtcdNestedResponse& read, const pb::TxnResponse& expected, int round) {
  expect_equal(read.header(), expected.header(), round);
  EXPECT_EQ(read.succeeded(), expected.succeeded()) << round;
  ASSERT_EQ(read.answers().size(), static_cast<std::size_t>(expected.responses_size())) << round;
  for (int i = 0; i < expected.responses_size(); ++i) {
    EXPECT_TRUE(read.answers()[static_cast<std::size_t>(i)] == expected.responses(i).response_txn()) << round;
  }
  std::string failed = expected.succeeded() ? std::string() : expected.SerializeAsString();
  EXPECT_TRUE(read.failed().SerializeAsString() == failed) << round;
}

pb::TxnResponse any_response(std::mt19937_64& random) {
  pb::TxnResponse response;
  if (random() % 2 == 0) response.mutable_header()->set_cluster_id(random());
  if (random() % 2 == 0) response.mutable_header()->set_member_id(random());
  if (random() % 2 == 0) response.mutable_header()->set_revision(any_number(random));
  if (random() % 2 == 0) response.mutable_header()->set_raft_term(random() % 300);
  response.set_succeeded(random() % 4 != 0);
  for (auto i = random() % 4; i > 0; --i) {
    pb::ResponseOp& of = *response.add_responses();
    switch (random() % 4) {
      case 0:
        of.mutable_response_put()->mutable_header();
        break;
      case 1:
        of.mutable_response_range()->add_kvs()->set_value(any_text(random).substr(0, 100));
        break;
      case 2:
        break;
      default:
        of.set_response_txn(any_text(random).substr(0, 200));
        break;
    }
  }
  return response;
}

// A field that etcd may add one day.
std::string unknown_field(std::mt19937_64& random) {
  static const std::array<std::string, 4> kFields{
      std::string("\x98\x06\xac\x02", 4), std::string("\xa2\x06\x03\x12\x01\x08", 6),
      std::string("\x99\x06\1\2\3\4\5\6\7\x08", 10), std::string("\x9d\x06\1\2\3\4", 6)};
  return kFields[random() % kFields.size()];
}

// The parts of one message, in any order, are that message.
std::string any_bytes(std::mt19937_64& random) {
  std::vector<std::string> parts;
  for (auto count = 1 + random() % 3; count > 0; --count) {
    parts.push_back(any_response(random).SerializeAsString());
    if (random() % 2 == 0) parts.push_back(unknown_field(random));
  }
  std::ranges::shuffle(parts, random);
  std::string bytes;
  for (const std::string& part : parts) bytes += part;
  return bytes;
}

TEST(EtcdNested, AnAnswerIsReadAsProtobufReadsIt) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = any_bytes(random);
    pb::TxnResponse expected;
    ASSERT_TRUE(expected.ParseFromString(bytes));
    EtcdNestedResponse response;
    ASSERT_TRUE(read(response, bytes)) << round;
    expect_equal(response, expected, round);
  }
}

TEST(EtcdNested, ADamagedAnswerIsReadAsProtobufReadsItOrNotAtAll) {
  std::mt19937_64 random(3);
  int readable = 0;
  int unreadable = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes = any_bytes(random);
    if (random() % 2 == 0) bytes.resize(random() % (bytes.size() + 1));
    for (auto damages = random() % 3; damages > 0 && !bytes.empty(); --damages) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    pb::TxnResponse expected;
    bool is_response = expected.ParseFromString(bytes);
    EtcdNestedResponse response;
    if (!read(response, bytes)) {
      ++unreadable;
      EXPECT_EQ(response.header().cluster_id(), 0U) << round;
      EXPECT_FALSE(response.succeeded()) << round;
      EXPECT_TRUE(response.answers().empty()) << round;
    } else if (is_response) {
      ++readable;
      expect_equal(response.header(), expected.header(), round);
      EXPECT_EQ(response.succeeded(), expected.succeeded()) << round;
      ASSERT_EQ(response.answers().size(), static_cast<std::size_t>(expected.responses_size())) << round;
      for (int i = 0; i < expected.responses_size(); ++i) {
        EXPECT_TRUE(response.answers()[static_cast<std::size_t>(i)] == expected.responses(i).response_txn()) << round;
      }
    } else {
      // What hangs on a success is not looked at.
      EXPECT_TRUE(response.succeeded()) << round;
    }
  }
  EXPECT_GT(readable, 5000);
  EXPECT_GT(unreadable, 5000);
}

TEST(EtcdNested, ATruncatedAnswerIsNoAnswer) {
  pb::TxnResponse whole;
  whole.set_succeeded(true);
  whole.add_responses()->set_response_txn("answer");
  std::string bytes = whole.SerializeAsString();
  EtcdNestedResponse response;
  ASSERT_TRUE(read(response, bytes));
  for (std::size_t size = 3; size < bytes.size(); ++size) {
    EtcdNestedResponse truncated;
    EXPECT_FALSE(read(truncated, bytes.substr(0, size))) << size;
  }
}

TEST(EtcdNested, AnswersStayWhereTheirResponseMoves) {
  pb::TxnResponse whole;
  whole.set_succeeded(true);
  whole.add_responses()->set_response_txn("a");
  EtcdNestedResponse response;
  ASSERT_TRUE(read(response, whole.SerializeAsString()));
  EtcdNestedResponse moved = std::move(response);
  ASSERT_EQ(moved.answers().size(), 1U);
  EXPECT_EQ(moved.answers()[0], "a");
}

}  // namespace
}  // namespace sharedlock
