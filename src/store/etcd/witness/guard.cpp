#include <charconv>
#include <utility>

#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/token_base.h"
#include "store/etcd/witness/guard_grpc.h"

namespace sharedlock {

namespace pb = etcdserverpb;

namespace {

// A transaction that may erase something goes through etcd's log. This key is never put.
constexpr std::string_view kNothing = "/shared-lock.meta/nothing";

pb::RangeRequest& add_range(EtcdOperations& branch, std::string_view key) {
  pb::RangeRequest& range = *branch.Add()->mutable_request_range();
  range.set_key(std::string(key));
  return range;
}

const pb::RangeResponse& range_at(const pb::TxnResponse& response, int index) {
  return index < response.responses_size() ? response.responses(index).response_range()
                                           : pb::RangeResponse::default_instance();
}

Revision revision_at(const pb::TxnResponse& response, int index) {
  const pb::RangeResponse& range = range_at(response, index);
  return range.kvs_size() == 0 ? kAbsent : Revision{range.kvs(0).mod_revision()};
}

void add_state(EtcdOperations& branch) {
  add_range(branch, kLostKey);
  add_range(branch, kGenerationKey);
  add_range(branch, kTokenBaseKey);
}

// The answers to add_state(), of which `first` is the first.
void read_state(const pb::TxnResponse& response, int first, EtcdWitness::Found& found) {
  const pb::RangeResponse& mark = range_at(response, first);
  if (mark.kvs_size() > 0) found.mark = mark.kvs(0).value();
  const pb::RangeResponse& generation = range_at(response, first + 1);
  if (generation.kvs_size() > 0) found.generation = read_generation(generation.kvs(0).value());
  const pb::RangeResponse& base = range_at(response, first + 2);
  if (base.kvs_size() > 0) found.base = base.kvs(0).value();
}

}  // namespace

void add_guard(pb::TxnRequest& request, const EtcdWitness& witness) {
  pb::Compare& least = *request.add_compare();
  least.set_key(witness.key());
  least.set_result(pb::Compare::GREATER);
  least.set_target(pb::Compare::MOD);
  expect_revision(request, kLostKey, kAbsent);
  renew_guard(request, witness.floor());
}

void renew_guard(pb::TxnRequest& request, Revision least) {
  request.mutable_compare(0)->set_mod_revision(number_of(least) - 1);
}

void add_witness(EtcdOperations& branch, const EtcdWitness& witness, std::string value) {
  pb::PutRequest& put = *branch.Add()->mutable_request_put();
  put.set_key(witness.key());
  put.set_value(std::move(value));
}

void add_own_ranges(EtcdOperations& branch, const EtcdWitness& witness) {
  add_range(branch, witness.key()).set_keys_only(true);
  add_state(branch);
}

EtcdWitness::Found read_own_ranges(const pb::TxnResponse& response, int first) {
  EtcdWitness::Found found;
  found.as_of = Revision{response.header().revision()};
  found.own = revision_at(response, first);
  read_state(response, first + 1, found);
  return found;
}

pb::TxnRequest ask_for_all(bool logged) {
  pb::TxnRequest request;
  EtcdOperations& branch = *request.mutable_success();
  add_state(branch);
  *branch.Add()->mutable_request_range() = range_of_prefix(std::string(kWitnessPrefix));
  if (logged) branch.Add()->mutable_request_delete_range()->set_key(std::string(kNothing));
  return request;
}

EtcdFoundAll read_all(const pb::TxnResponse& response, const EtcdWitness& witness) {
  EtcdFoundAll all;
  all.found.as_of = Revision{response.header().revision()};
  read_state(response, 0, all.found);
  const pb::RangeResponse& mark = range_at(response, 0);
  if (mark.kvs_size() > 0) all.mark = mark.kvs(0);
  all.generation_at = revision_at(response, 1);
  all.base_at = revision_at(response, 2);
  for (const pb::KeyValue& kv : range_at(response, 3).kvs()) {
    Revision revision{kv.mod_revision()};
    all.witnesses.push_back(kv);
    if (kv.key() == witness.key()) {
      all.found.own = revision;
    } else {
      all.found.others.emplace(kv.key(), revision);
    }
  }
  return all;
}

void expect_revision(pb::TxnRequest& request, std::string_view key, Revision at) {
  pb::Compare& compare = *request.add_compare();
  compare.set_key(std::string(key));
  compare.set_result(pb::Compare::EQUAL);
  compare.set_target(pb::Compare::MOD);
  compare.set_mod_revision(number_of(at));
}

void expect_value(pb::TxnRequest& request, std::string_view key, std::string value) {
  pb::Compare& compare = *request.add_compare();
  compare.set_key(std::string(key));
  compare.set_result(pb::Compare::EQUAL);
  compare.set_target(pb::Compare::VALUE);
  compare.set_value(std::move(value));
}

std::int64_t read_generation(std::string_view value) {
  std::int64_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  return error == std::errc() && end == value.data() + value.size() ? number : 0;
}

}  // namespace sharedlock
