#include <grpcpp/support/slice.h>

#include <array>
#include <cstdint>
#include <utility>

#include "store/etcd/rpc/nested_grpc.h"
#include "store/etcd/rpc/wire.h"

namespace sharedlock {

namespace pb = etcdserverpb;

void EtcdNestedRequest::nest(std::string_view transaction) {
  WireWriter to(rest);
  to.message(pb::TxnRequest::kSuccessFieldNumber,
             [&] { to.bytes(pb::RequestOp::kRequestTxnFieldNumber, transaction); });
}

bool EtcdNestedResponse::read(std::vector<char> bytes) {
  bytes_ = std::move(bytes);
  bool whole = read_fields();
  if (whole && !succeeded_) whole = failed_.ParseFromArray(bytes_.data(), static_cast<int>(bytes_.size()));
  if (!whole) *this = EtcdNestedResponse();
  return whole;
}

bool EtcdNestedResponse::read_fields() {
  WireReader reader(std::string_view(bytes_.data(), bytes_.size()));
  while (auto field = reader.next()) {
    switch (field->number) {
      case pb::TxnResponse::kHeaderFieldNumber:
        if (field->bytes && !read_header(*field->bytes)) return false;
        break;
      case pb::TxnResponse::kSucceededFieldNumber:
        if (field->varint) succeeded_ = *field->varint != 0;
        break;
      case pb::TxnResponse::kResponsesFieldNumber:
        if (field->bytes && !read_answer(*field->bytes)) return false;
        break;
      default:
        break;
    }
  }
  return !reader.is_malformed();
}

// Parts of a header, one after another, are one header.
bool EtcdNestedResponse::read_header(std::string_view bytes) {
  WireReader reader(bytes);
  while (auto field = reader.next()) {
    if (!field->varint) continue;
    switch (field->number) {
      case pb::ResponseHeader::kClusterIdFieldNumber:
        header_.set_cluster_id(*field->varint);
        break;
      case pb::ResponseHeader::kMemberIdFieldNumber:
        header_.set_member_id(*field->varint);
        break;
      case pb::ResponseHeader::kRevisionFieldNumber:
        header_.set_revision(static_cast<std::int64_t>(*field->varint));
        break;
      case pb::ResponseHeader::kRaftTermFieldNumber:
        header_.set_raft_term(*field->varint);
        break;
      default:
        break;
    }
  }
  return !reader.is_malformed();
}

// Of several answers to one operation the last counts.
bool EtcdNestedResponse::read_answer(std::string_view bytes) {
  std::string_view answer;
  WireReader reader(bytes);
  while (auto field = reader.next()) {
    if (!field->bytes) continue;
    switch (field->number) {
      case pb::ResponseOp::kResponseTxnFieldNumber:
        answer = *field->bytes;
        break;
      case pb::ResponseOp::kResponseRangeFieldNumber:
      case pb::ResponseOp::kResponsePutFieldNumber:
      case pb::ResponseOp::kResponseDeleteRangeFieldNumber:
        answer = {};
        break;
      default:
        break;
    }
  }
  answers_.push_back(answer);
  return !reader.is_malformed();
}

}  // namespace sharedlock

namespace grpc {

Status SerializationTraits<sharedlock::EtcdNestedRequest>::Serialize(const sharedlock::EtcdNestedRequest& request,
                                                                     ByteBuffer* buffer, bool* own_buffer) {
  const std::array<Slice, 2> parts{Slice(request.comparing.SerializeAsString()), Slice(request.rest)};
  ByteBuffer whole(parts.data(), parts.size());
  buffer->Swap(&whole);
  *own_buffer = true;
  return Status::OK;
}

Status SerializationTraits<sharedlock::EtcdNestedResponse>::Deserialize(ByteBuffer* buffer,
                                                                        sharedlock::EtcdNestedResponse* response) {
  std::vector<Slice> parts;
  Status status = buffer->Dump(&parts);
  std::vector<char> bytes;
  bytes.reserve(buffer->Length());
  buffer->Clear();  // the caller leaves that to this
  for (const Slice& part : parts) bytes.insert(bytes.end(), part.begin(), part.end());
  if (status.ok() && !response->read(std::move(bytes))) status = Status(StatusCode::INTERNAL, "it can't be parsed");
  return status;
}

}  // namespace grpc
