#include <algorithm>
#include <utility>

#include "store/etcd_messages_grpc.h"

namespace sharedlock {

namespace pb = etcdserverpb;

namespace {

// etcd has no empty key: "\0" is the first of all, and as an end of a range it means that there is none.
const std::string kFirstKey("\0", 1);

void add_comparisons(const Transaction& transaction, pb::TxnRequest& request) {
  for (const Expect& expect : transaction.expect) {
    pb::Compare* compare = request.add_compare();
    compare->set_key(expect.key);
    compare->set_result(pb::Compare::EQUAL);
    if (expect.at == kAbsent) {
      compare->set_target(pb::Compare::CREATE);
      compare->set_create_revision(0);
    } else {
      compare->set_target(pb::Compare::MOD);
      compare->set_mod_revision(number_of(expect.at));
    }
  }
  for (const std::string& prefix : transaction.none_under) {
    // Over a range every key must compare equal; where there is none, etcd compares with 0 alone.
    pb::Compare* compare = request.add_compare();
    compare->set_key(prefix.empty() ? kFirstKey : prefix);
    compare->set_range_end(end_of_prefix(prefix));
    compare->set_result(pb::Compare::EQUAL);
    compare->set_target(pb::Compare::CREATE);
    compare->set_create_revision(0);
  }
}

}  // namespace

std::string end_of_prefix(const std::string& prefix) {
  std::string end = prefix;
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return kFirstKey;
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

pb::RangeRequest range_of_key(std::string key) {
  pb::RangeRequest request;
  request.set_key(std::move(key));
  return request;
}

pb::RangeRequest range_of_prefix(const std::string& prefix, const std::string& after) {
  pb::RangeRequest request;
  std::string first = after.empty() || after < prefix ? prefix : after + kFirstKey;
  request.set_key(first.empty() ? kFirstKey : first);
  request.set_range_end(end_of_prefix(prefix));
  return request;
}

Entry to_entry(pb::KeyValue& kv) {
  return Entry{.value = std::move(*kv.mutable_value()),
               .lease = LeaseId{kv.lease()},
               .created = Revision{kv.create_revision()},
               .revision = Revision{kv.mod_revision()}};
}

std::optional<Entry> to_entry(pb::RangeResponse& of_key) {
  if (of_key.kvs_size() == 0) return std::nullopt;
  return to_entry(*of_key.mutable_kvs(0));
}

std::vector<pb::RangeRequest> to_look(const Transaction& transaction) {
  std::vector<pb::RangeRequest> ranges;
  ranges.reserve(transaction.expect.size() + transaction.none_under.size());
  for (const Expect& expect : transaction.expect) ranges.push_back(range_of_key(expect.key));
  for (const std::string& prefix : transaction.none_under) {
    pb::RangeRequest& range = ranges.emplace_back(range_of_prefix(prefix));
    range.set_limit(1);
    range.set_keys_only(true);
  }
  return ranges;
}

bool holds(const Transaction& transaction, const std::vector<pb::RangeResponse>& found) {
  std::size_t next = 0;
  for (const Expect& expect : transaction.expect) {
    const pb::RangeResponse& present = found[next++];
    Revision revision = present.kvs_size() == 0 ? kAbsent : Revision{present.kvs(0).mod_revision()};
    if (revision != expect.at) return false;
  }
  return std::all_of(found.begin() + static_cast<std::ptrdiff_t>(next), found.end(),
                     [](const pb::RangeResponse& under) { return under.kvs_size() == 0; });
}

Conflict to_conflict(const Transaction& transaction, std::vector<pb::RangeResponse> found, Revision as_of) {
  Conflict conflict{.as_of = as_of, .current = {}, .occupied = {}};
  std::size_t next = 0;
  for (; next < transaction.expect.size(); ++next) conflict.current.push_back(to_entry(found[next]));
  for (; next < found.size(); ++next) conflict.occupied.push_back(found[next].kvs_size() > 0);
  return conflict;
}

pb::TxnRequest to_txn(const Transaction& transaction, const std::vector<LeaseId>& leases) {
  pb::TxnRequest request;
  add_comparisons(transaction, request);
  for (pb::RangeRequest& range : to_look(transaction)) {
    *request.add_failure()->mutable_request_range() = std::move(range);
  }
  for (std::size_t i = 0; i < transaction.changes.size(); ++i) {
    pb::RequestOp* change = request.add_success();
    if (auto* put = std::get_if<Put>(&transaction.changes[i])) {
      change->mutable_request_put()->set_key(put->key);
      change->mutable_request_put()->set_value(put->value);
      change->mutable_request_put()->set_lease(number_of(leases[i]));
    } else {
      change->mutable_request_delete_range()->set_key(std::get<Erase>(transaction.changes[i]).key);
    }
  }
  return request;
}

Conflict to_conflict(const Transaction& transaction, pb::TxnResponse& response) {
  std::vector<pb::RangeResponse> found;
  found.reserve(static_cast<std::size_t>(response.responses_size()));
  for (pb::ResponseOp& of : *response.mutable_responses()) found.push_back(std::move(*of.mutable_response_range()));
  return to_conflict(transaction, std::move(found), Revision{response.header().revision()});
}

bool guards_itself(const Transaction& transaction) {
  if (transaction.changes.empty()) return true;
  auto is_spent = [&](const Expect& expect) {
    auto same_key = [&](const Mutation& change) { return key_of(change) == expect.key; };
    auto change = std::ranges::find_if(transaction.changes, same_key);
    if (change == transaction.changes.end()) return false;
    return std::holds_alternative<Put>(*change) || expect.at != kAbsent;
  };
  return std::ranges::any_of(transaction.expect, is_spent);
}

}  // namespace sharedlock
