#include <algorithm>
#include <utility>

#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/rpc/wire.h"

namespace sharedlock {

namespace pb = etcdserverpb;

namespace {

// etcd has no empty key: "\0" is the first of all, and as the end of a range it means that there is no end.
const std::string kFirstKey("\0", 1);

const std::string& first_key_under(const std::string& prefix) {
  return prefix.empty() ? kFirstKey : prefix;
}

// A request is written by hand, since there is one for each operation: to make protobuf's objects of its parts first
// takes three times as many instructions.

void write_comparisons(const Transaction& transaction, WireWriter& to) {
  for (const Expect& expect : transaction.expect) {
    bool absent = expect.at == kAbsent;
    to.message(pb::TxnRequest::kCompareFieldNumber, [&] {
      to.number(pb::Compare::kTargetFieldNumber, absent ? pb::Compare::CREATE : pb::Compare::MOD);
      to.bytes(pb::Compare::kKeyFieldNumber, expect.key);
      to.number(absent ? pb::Compare::kCreateRevisionFieldNumber : pb::Compare::kModRevisionFieldNumber,
                number_of(expect.at));
    });
  }
  for (const std::string& prefix : transaction.none_under) {
    // Over a range every key must compare equal; for an empty range etcd compares only with 0.
    to.message(pb::TxnRequest::kCompareFieldNumber, [&] {
      to.number(pb::Compare::kTargetFieldNumber, pb::Compare::CREATE);
      to.bytes(pb::Compare::kKeyFieldNumber, first_key_under(prefix));
      to.number(pb::Compare::kCreateRevisionFieldNumber, 0);
      to.bytes(pb::Compare::kRangeEndFieldNumber, end_of_prefix(prefix));
    });
  }
}

void write_changes(const Transaction& transaction, const std::vector<LeaseId>& leases, WireWriter& to) {
  for (std::size_t i = 0; i < transaction.changes.size(); ++i) {
    to.message(pb::TxnRequest::kSuccessFieldNumber, [&] {
      if (auto* put = std::get_if<Put>(&transaction.changes[i])) {
        to.message(pb::RequestOp::kRequestPutFieldNumber, [&] {
          to.bytes(pb::PutRequest::kKeyFieldNumber, put->key);
          to.bytes(pb::PutRequest::kValueFieldNumber, put->value);
          to.number(pb::PutRequest::kLeaseFieldNumber, number_of(leases[i]));
        });
      } else {
        to.message(pb::RequestOp::kRequestDeleteRangeFieldNumber, [&] {
          to.bytes(pb::DeleteRangeRequest::kKeyFieldNumber, std::get<Erase>(transaction.changes[i]).key);
        });
      }
    });
  }
}

// The contents of a Conflict, as to_look() asks for them.
void write_look(const Transaction& transaction, WireWriter& to) {
  auto range = [&to](auto write) {
    to.message(pb::TxnRequest::kFailureFieldNumber,
               [&] { to.message(pb::RequestOp::kRequestRangeFieldNumber, write); });
  };
  for (const Expect& expect : transaction.expect) {
    range([&] { to.bytes(pb::RangeRequest::kKeyFieldNumber, expect.key); });
  }
  for (const std::string& prefix : transaction.none_under) {
    range([&] {
      to.bytes(pb::RangeRequest::kKeyFieldNumber, first_key_under(prefix));
      to.bytes(pb::RangeRequest::kRangeEndFieldNumber, end_of_prefix(prefix));
      to.number(pb::RangeRequest::kLimitFieldNumber, 1);
      to.number(pb::RangeRequest::kKeysOnlyFieldNumber, 1);
    });
  }
}

// At least as many bytes as most transactions take.
std::size_t expected_size(const Transaction& transaction) {
  constexpr std::size_t kEach = 32;  // everything but keys and values
  std::size_t size = 0;
  for (const Expect& expect : transaction.expect) size += 2 * (expect.key.size() + kEach);
  for (const std::string& prefix : transaction.none_under) size += 4 * (prefix.size() + kEach);
  for (const Mutation& change : transaction.changes) {
    auto* put = std::get_if<Put>(&change);
    size += key_of(change).size() + (put ? put->value.size() : 0) + kEach;
  }
  return size;
}

// Whether a TxnResponse says so; nothing: it is malformed.
std::optional<bool> read_succeeded(std::string_view response) {
  bool succeeded = false;
  WireReader reader(response);
  while (auto field = reader.next()) {
    bool says_it = field->number == pb::TxnResponse::kSucceededFieldNumber && field->varint;
    if (says_it) succeeded = *field->varint != 0;
  }
  return reader.is_malformed() ? std::nullopt : std::optional(succeeded);
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

EncodedTxn encode_txn(const Transaction& transaction, const std::vector<LeaseId>& leases) {
  EncodedTxn encoded;
  encoded.bytes.reserve(expected_size(transaction));
  WireWriter to(encoded.bytes);
  write_comparisons(transaction, to);
  encoded.comparing = encoded.bytes.size();
  write_changes(transaction, leases, to);
  write_look(transaction, to);
  return encoded;
}

std::optional<TxnAnswer> decode_txn_answer(std::string_view bytes, Revision as_of) {
  auto succeeded = read_succeeded(bytes);
  if (!succeeded) return std::nullopt;
  if (*succeeded) return TxnAnswer{.succeeded = true, .as_of = as_of, .found = {}};
  pb::TxnResponse response;
  if (!response.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
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
