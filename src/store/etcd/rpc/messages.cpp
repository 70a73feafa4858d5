#include <google/protobuf/arena.h>

#include <algorithm>
#include <array>
#include <utility>

#include "store/etcd/rpc/messages_grpc.h"

namespace sharedlock {

namespace pb = etcdserverpb;

namespace {

// etcd has no empty key: "\0" is the first of all, and as the end of a range it means that there is no end.
const std::string kFirstKey("\0", 1);

const std::string& first_key_under(const std::string& prefix) {
  return prefix.empty() ? kFirstKey : prefix;
}

// Messages that live only until they are serialized, or until their contents are read: most need no memory but this.
class ShortLived {
 public:
  template <class Message>
  Message& make() {
    return *google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }

 private:
  alignas(std::max_align_t) std::array<char, 3000> memory_;  // enough for most
  google::protobuf::Arena arena_{memory_.data(), memory_.size()};
};

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
    // Over a range every key must compare equal; for an empty range etcd compares only with 0.
    pb::Compare* compare = request.add_compare();
    compare->set_key(first_key_under(prefix));
    compare->set_range_end(end_of_prefix(prefix));
    compare->set_result(pb::Compare::EQUAL);
    compare->set_target(pb::Compare::CREATE);
    compare->set_create_revision(0);
  }
}

// The contents of a Conflict, in the order of to_look().
template <class AddRange>
void add_look(const Transaction& transaction, AddRange add_range) {
  for (const Expect& expect : transaction.expect) add_range().set_key(expect.key);
  for (const std::string& prefix : transaction.none_under) {
    pb::RangeRequest& range = add_range();
    range.set_key(first_key_under(prefix));
    range.set_range_end(end_of_prefix(prefix));
    range.set_limit(1);
    range.set_keys_only(true);
  }
}

void add_changes(const Transaction& transaction, const std::vector<LeaseId>& leases, pb::TxnRequest& request) {
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
  request.set_key(after.empty() || after < prefix ? first_key_under(prefix) : after + kFirstKey);
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
  add_look(transaction, [&]() -> pb::RangeRequest& { return ranges.emplace_back(); });
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

EncodedTxn encode_txn(const Transaction& transaction, const std::vector<LeaseId>& leases) {
  ShortLived messages;
  auto& request = messages.make<pb::TxnRequest>();
  add_comparisons(transaction, request);
  EncodedTxn encoded{.bytes = {}, .comparing = request.ByteSizeLong()};
  add_look(transaction, [&]() -> pb::RangeRequest& { return *request.add_failure()->mutable_request_range(); });
  add_changes(transaction, leases, request);
  request.SerializeToString(&encoded.bytes);
  return encoded;
}

std::optional<TxnAnswer> decode_txn_answer(const std::string& bytes, Revision as_of) {
  ShortLived messages;
  auto& response = messages.make<pb::TxnResponse>();
  if (!response.ParseFromString(bytes)) return std::nullopt;
  return to_txn_answer(response, as_of);
}

TxnAnswer to_txn_answer(pb::TxnResponse& response, Revision as_of) {
  TxnAnswer answer{.succeeded = response.succeeded(), .as_of = as_of, .found = {}};
  if (answer.succeeded) return answer;
  answer.found.reserve(static_cast<std::size_t>(response.responses_size()));
  for (pb::ResponseOp& of : *response.mutable_responses()) {
    answer.found.push_back(std::move(*of.mutable_response_range()));
  }
  return answer;
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
