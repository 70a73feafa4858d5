#pragma once

#include <etcd.pb.h>

#include <chrono>
#include <optional>
#include <string>

#include "store/etcd/witness/witness.h"

// How transactions notice that etcd forgot something (R32): pure functions.
namespace sharedlock {

// The first two comparisons of a guarded transaction: the witness is at least as new as confirmed, and there is no
// mark.
void add_guard(etcdserverpb::TxnRequest& request, const EtcdWitness& witness);

// The least revision of the witness, as known now.
void renew_guard(etcdserverpb::TxnRequest& request, Revision least);

using EtcdOperations = google::protobuf::RepeatedPtrField<etcdserverpb::RequestOp>;

// The put that accompanies each change.
void add_witness(EtcdOperations& branch, const EtcdWitness& witness, std::string value);

// Shows which comparison of add_guard() failed. The first of its kOwnRanges answers is [first] of the response.
inline constexpr int kOwnRanges = 4;
void add_own_ranges(EtcdOperations& branch, const EtcdWitness& witness);
EtcdWitness::Found read_own_ranges(const etcdserverpb::TxnResponse& response, int first);

// A question that shows everything, also the other servers' witnesses. `logged`: it goes through etcd's log, and
// changes nothing.
etcdserverpb::TxnRequest ask_for_all(bool logged);
struct EtcdFoundAll {
  EtcdWitness::Found found;
  std::vector<etcdserverpb::KeyValue> witnesses;  // of all servers
  std::optional<etcdserverpb::KeyValue> mark;
  Revision generation_at = kAbsent;  // when the generation was written
  Revision base_at = kAbsent;        // and the base of fencing tokens
};
EtcdFoundAll read_all(const etcdserverpb::TxnResponse& response, const EtcdWitness& witness);

// Comparisons with a key's last change, kAbsent if there must be none; and with its value.
void expect_revision(etcdserverpb::TxnRequest& request, std::string_view key, Revision at);
void expect_value(etcdserverpb::TxnRequest& request, std::string_view key, std::string value);

// The stored generation: a number; 0 if there is none, or something else.
std::int64_t read_generation(std::string_view value);

}  // namespace sharedlock
