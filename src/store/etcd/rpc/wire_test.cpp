#include "store/etcd/rpc/wire.h"

#include <etcd.pb.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace sharedlock {
namespace {

namespace pb = etcdserverpb;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

TEST(EtcdWire, NumbersAreWrittenAsProtobufWritesThem) {
  for (std::int64_t number : {std::int64_t{1}, std::int64_t{127}, std::int64_t{128}, kMost, -kMost, std::int64_t{-1}}) {
    pb::PutRequest put;
    put.set_lease(number);
    std::string message;
    WireWriter(message).number(pb::PutRequest::kLeaseFieldNumber, number);
    EXPECT_EQ(message, put.SerializeAsString()) << number;
  }
}

TEST(EtcdWire, MessagesOfEachLengthAreWrittenAsProtobufWritesThem) {
  for (std::size_t size :
       {1U, 100U, 123U, 124U, 125U, 126U, 127U, 128U, 200U, 16379U, 16380U, 16381U, 16384U, 3000000U}) {
    pb::RequestOp operation;
    operation.mutable_request_put()->set_key(std::string(size, 'k'));
    std::string message;
    WireWriter writer(message);
    writer.message(pb::RequestOp::kRequestPutFieldNumber,
                   [&] { writer.bytes(pb::PutRequest::kKeyFieldNumber, std::string(size, 'k')); });
    EXPECT_TRUE(message == operation.SerializeAsString()) << size;
  }
}

TEST(EtcdWire, WhatIsWrittenIsRead) {
  std::string message;
  WireWriter writer(message);
  writer.number(1, -5);
  writer.bytes(64, "text");
  writer.message(3, [&] { writer.number(2, 300); });

  WireReader reader(message);
  auto field = reader.next();
  ASSERT_TRUE(field && field->varint);
  EXPECT_EQ(field->number, 1);
  EXPECT_EQ(static_cast<std::int64_t>(*field->varint), -5);
  field = reader.next();
  ASSERT_TRUE(field && field->bytes);
  EXPECT_EQ(field->number, 64);
  EXPECT_EQ(*field->bytes, "text");
  field = reader.next();
  ASSERT_TRUE(field && field->bytes);
  WireReader inner(*field->bytes);
  EXPECT_EQ(inner.next()->varint, 300U);
  EXPECT_FALSE(inner.next());
  EXPECT_FALSE(inner.is_malformed());
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.is_malformed());
}

TEST(EtcdWire, MalformedMessagesAreFound) {
  const std::string too_long(11, '\xff');
  const std::string field_zero("\0\1", 2);
  for (const std::string& message : {std::string("\x08"), std::string("\x08\x80"), std::string("\x12\x05text"),
                                     std::string("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                                     std::string("\x0d\1\2\3"), std::string("\x09\1\2\3\4\5\6\7"), std::string("\x0b"),
                                     std::string("\x0f\1"), field_zero, too_long, "\x08" + too_long}) {
    WireReader reader(message);
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.is_malformed());
    EXPECT_FALSE(reader.next());
  }
}

}  // namespace
}  // namespace sharedlock
