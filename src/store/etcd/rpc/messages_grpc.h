#pragma once

#include <etcd.pb.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/lease_store.h"

// Translates our terms into etcd's: pure functions.
namespace sharedlock {

class EtcdLeaseLooks;

// The end of the range that holds every key with this prefix, as etcd wants it ("\0": no end).
std::string end_of_prefix(const std::string& prefix);

// One key; every key that begins with `prefix` and is greater than `after`.
etcdserverpb::RangeRequest range_of_key(std::string key);
etcdserverpb::RangeRequest range_of_prefix(const std::string& prefix, const std::string& after = {});

Entry to_entry(etcdserverpb::KeyValue& kv);  // takes the value out
std::optional<Entry> to_entry(etcdserverpb::RangeResponse& of_key);

// The contents of a Conflict: the expected keys, then the entries under the prefixes.
std::vector<etcdserverpb::RangeRequest> to_look(const Transaction& transaction);

// Whether the transaction would be applied if that look found this; and the Conflict if not, which takes the values
// out.
bool holds(const Transaction& transaction, const std::vector<etcdserverpb::RangeResponse>& found);
Conflict to_conflict(const Transaction& transaction, std::vector<etcdserverpb::RangeResponse> found, Revision as_of);

// A transaction as it goes over the wire: a TxnRequest.
struct EncodedTxn {
  std::string bytes;
  std::size_t comparing = 0;  // the number of comparisons among them, all at the beginning
};

// The whole transaction; leases[i] is the lease of changes[i], if that is a put. The look is its else-branch.
EncodedTxn encode_txn(const Transaction& transaction, const std::vector<LeaseId>& leases);

// The outcome of a transaction.
struct TxnAnswer {
  bool succeeded = false;
  Revision as_of = kAbsent;                        // of its write, or of what was found
  std::vector<etcdserverpb::RangeResponse> found;  // by its look, if it did not succeed
  // If it rests on leases (EtcdWrites::Item): etcd's answers about them, and the raft term of this answer.
  std::shared_ptr<EtcdLeaseLooks> looks = {};
  std::uint64_t term = 0;
};

// `as_of` is that of the surrounding answer. Nothing: the bytes are not a TxnResponse. Of one that succeeded nothing
// else is read.
std::optional<TxnAnswer> decode_txn_answer(std::string_view bytes, Revision as_of);
TxnAnswer to_txn_answer(etcdserverpb::TxnResponse& response, Revision as_of);

// Whether the transaction's own success makes its expectations fail, so that it is never applied twice.
bool guards_itself(const Transaction& transaction);

}  // namespace sharedlock
