#pragma once

#include <etcd.pb.h>

#include <optional>
#include <string>
#include <vector>

#include "store/lease_store.h"

// Our words in etcd's: pure functions.
namespace sharedlock {

// The end of the range that holds every key with this prefix, as etcd wants it ("\0": no end).
std::string end_of_prefix(const std::string& prefix);

// One key; every key that begins with `prefix` and is greater than `after`.
etcdserverpb::RangeRequest range_of_key(std::string key);
etcdserverpb::RangeRequest range_of_prefix(const std::string& prefix, const std::string& after = {});

Entry to_entry(etcdserverpb::KeyValue& kv);  // takes the value out
std::optional<Entry> to_entry(etcdserverpb::RangeResponse& of_key);

// What leads to a Conflict: the comparisons, and in the else-branch what tells the present state.
etcdserverpb::TxnRequest to_look(const Transaction& transaction);

// The whole transaction; leases[i] is the lease of changes[i], where that is a put.
etcdserverpb::TxnRequest to_txn(const Transaction& transaction, const std::vector<LeaseId>& leases);

// The else-branch of either.
Conflict to_conflict(const Transaction& transaction, etcdserverpb::TxnResponse& response);

// Whether the transaction's own success makes its expectations fail, so that it is never applied twice.
bool guards_itself(const Transaction& transaction);

}  // namespace sharedlock
