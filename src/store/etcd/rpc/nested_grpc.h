#pragma once

#include <etcd.pb.h>
#include <grpcpp/impl/serialization_traits.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// A transaction that holds many others, and its answer. What there is one of for each of those is written and read as
// bytes: to make protobuf's objects of it takes many times as many instructions. On the wire they are a TxnRequest and
// a TxnResponse. Not thread-safe.
namespace sharedlock {

struct EtcdNestedRequest {
  // Adds a TxnRequest, as EncodedTxn has it, to those that are done if the comparisons hold.
  void nest(std::string_view transaction);
  etcdserverpb::TxnRequest comparing;  // only comparisons, so that they can be renewed
  std::string rest;                    // what follows them, as it goes over the wire
};

class EtcdNestedResponse {
 public:
  EtcdNestedResponse() = default;
  EtcdNestedResponse(const EtcdNestedResponse&) = delete;  // the answers point into the bytes, which a move leaves
  EtcdNestedResponse(EtcdNestedResponse&&) noexcept = default;
  EtcdNestedResponse& operator=(const EtcdNestedResponse&) = delete;
  EtcdNestedResponse& operator=(EtcdNestedResponse&&) noexcept = default;
  ~EtcdNestedResponse() = default;

  // Once. False: the bytes are not a TxnResponse; then this remains empty, with a header that names no cluster. What is
  // in operations of other kinds is read only if the comparisons failed, and what is in nested answers not at all.
  bool read(std::vector<char> bytes);

  const etcdserverpb::ResponseHeader& header() const { return header_; }
  bool succeeded() const { return succeeded_; }

  // The answers to all operations in turn: a TxnResponse, empty for operations of other kinds. They live as long as
  // this, or as what it is moved to.
  const std::vector<std::string_view>& answers() const { return answers_; }

  // The whole, if the comparisons failed.
  const etcdserverpb::TxnResponse& failed() const { return failed_; }

 private:
  bool read_fields();
  bool read_header(std::string_view bytes);
  bool read_answer(std::string_view bytes);

  std::vector<char> bytes_;
  etcdserverpb::ResponseHeader header_;
  bool succeeded_ = false;
  std::vector<std::string_view> answers_;
  etcdserverpb::TxnResponse failed_;
};

}  // namespace sharedlock

// How gRPC's calls send and receive them.
template <>
class grpc::SerializationTraits<sharedlock::EtcdNestedRequest> {
 public:
  static Status Serialize(const sharedlock::EtcdNestedRequest& request, ByteBuffer* buffer, bool* own_buffer);
};

template <>
class grpc::SerializationTraits<sharedlock::EtcdNestedResponse> {
 public:
  // Takes what is in `buffer`.
  static Status Deserialize(ByteBuffer* buffer, sharedlock::EtcdNestedResponse* response);
};
