#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "store/etcd/lease/lease_index.h"
#include "store/etcd/write/batches_grpc.h"

namespace sharedlock {

namespace pb = etcdserverpb;

namespace {

// Limits on a transaction's parts so that a full batch stays within etcd's; sets of locks hold more.
constexpr std::size_t kMostParts = 8;

constexpr std::size_t kMostRanges = 120;  // etcd allows 128 operations

constexpr int kEpochs = 4;  // tried for one request, as long as each is found to be over

bool puts_anything(const Transaction& transaction) {
  return std::ranges::any_of(transaction.changes,
                             [](const auto& change) { return std::holds_alternative<Put>(change); });
}

// Equal for ranges with equal answers.
std::string identity(const pb::RangeRequest& range) {
  return range.SerializeAsString();
}

template <class Response>
WriteCall call_of(const EtcdAnswer<Response>& answer) {
  using Reply = WriteCall::Reply;
  Reply failed = answer.refused ? Reply::error : Reply::none;
  return {answer.result ? Reply::carried : failed, answer.unanswered};
}

// The answer to one item, which is transaction [i] of the batch that etcd answered.
EtcdWrites::Answer answer_of(const Result<EtcdNestedResponse>& batch, std::size_t i, WriteFate fate,
                             const std::shared_ptr<EtcdLeaseLooks>& looks) {
  if (!batch) return {batch.error(), fate};
  Revision as_of{batch->header().revision()};
  std::optional<TxnAnswer> answer;
  if (i < batch->answers().size()) answer = decode_txn_answer(batch->answers()[i], as_of);
  if (!answer) {
    return {Error{Errc::unavailable, "etcd's answer makes no sense"}, WriteFate::unknown_may_still_happen};
  }
  answer->looks = looks;
  answer->term = batch->header().raft_term();
  return {*std::move(answer), fate};
}

// The ranges of all items, each once, and which range answers which item.
struct SharedRanges {
  explicit SharedRanges(const std::vector<EtcdReads::Item*>& items) {
    std::unordered_map<std::string, int> known;
    for (const EtcdReads::Item* item : items) {
      for (const pb::RangeRequest& range : item->ranges) {
        auto [place, is_new] = known.try_emplace(identity(range), request.success_size());
        if (is_new) *request.add_success()->mutable_request_range() = range;
        places.push_back(place->second);
      }
    }
  }

  pb::TxnRequest request;
  std::vector<int> places;  // in the request, of each range of each item
};

}  // namespace

bool EtcdReads::Plan::take(const Item& item) {
  if (items_ == kFull || (items_ > 0 && ranges_ + item.ranges.size() > kMostRanges)) return false;
  ++items_;
  ranges_ += item.ranges.size();
  return true;
}

Task<EtcdReads::Answer> EtcdReads::send_alone(Item* item, Deadline deadline) {
  std::vector<Item*> one(1, item);
  auto answers = co_await send(&one, deadline);
  co_return answers ? std::move(answers->front()) : Answer(client_.unreachable());
}

Task<EtcdAnswer<pb::TxnResponse>> EtcdReads::read(pb::TxnRequest ranges, Deadline deadline) {
  auto known = witness_.known_of_ours(client_.highest());
  int asked = ranges.success_size();
  pb::TxnRequest request;
  add_guard(request, witness_);
  request.mutable_success()->Swap(ranges.mutable_success());
  pb::RangeRequest& witness = *request.add_success()->mutable_request_range();
  witness.set_key(witness_.key());
  witness.set_keys_only(true);
  add_own_ranges(*request.mutable_failure(), witness_);
  auto answer = co_await client_.txn(std::move(request), /*repeatable=*/true, deadline, EtcdTxn::guarded);
  if (!answer.result) co_return answer;
  if (answer.result->succeeded()) {
    const auto& shown = answer.result->responses(asked).response_range();
    if (shown.kvs_size() > 0) witness_.confirmed(Revision{shown.kvs(0).mod_revision()});
  } else {
    loss_.examine(known, answer.compared_with, *answer.result, 0);
  }
  if (auto refused = witness_.refusal()) answer.result = *std::move(refused);
  co_return answer;
}

Task<Result<Listing>> EtcdReads::list(std::string prefix, std::string after, std::size_t limit, Deadline deadline) {
  pb::RangeRequest range = range_of_prefix(prefix, after);
  range.set_limit(static_cast<std::int64_t>(limit));
  pb::TxnRequest request;
  *request.add_success()->mutable_request_range() = std::move(range);
  auto answer = co_await read(std::move(request), deadline);
  if (!answer.result) co_return answer.result.error();
  pb::RangeResponse& found = *answer.result->mutable_responses(0)->mutable_response_range();
  Listing listing{.entries = {}, .more = found.more(), .as_of = Revision{answer.result->header().revision()}};
  for (pb::KeyValue& kv : *found.mutable_kvs()) listing.entries.emplace_back(kv.key(), to_entry(kv));
  co_return listing;
}

Task<std::optional<std::vector<EtcdReads::Answer>>> EtcdReads::send(const std::vector<Item*>* items,
                                                                    Deadline deadline) {
  SharedRanges shared(*items);
  auto answer = co_await read(std::move(shared.request), deadline);
  std::vector<Answer> answers;
  answers.reserve(items->size());
  if (!answer.result) {
    // One refused request must not spoil the others.
    if (answer.refused && items->size() > 1) co_return std::nullopt;
    answers.assign(items->size(), answer.result.error());
    co_return answers;
  }
  Revision as_of{answer.result->header().revision()};
  auto place = shared.places.begin();
  for (const Item* item : *items) {
    Found found{.ranges = {}, .as_of = as_of, .term = answer.result->header().raft_term()};
    found.ranges.reserve(item->ranges.size());
    for (std::size_t i = 0; i < item->ranges.size(); ++i) {
      found.ranges.push_back(answer.result->responses(*place++).response_range());
    }
    answers.emplace_back(std::move(found));
  }
  co_return answers;
}

EtcdWrites::Item::Item(const Transaction& of, EncodedTxn as)
    : transaction(&of),
      request(std::move(as)),
      puts(puts_anything(of)),
      promises(promise_of(of)),
      looks(of.changes.empty()),
      repeatable(guards_itself(of)),
      large(of.expect.size() + of.none_under.size() + of.changes.size() > kMostParts) {}

std::optional<EtcdWrites::Answer> EtcdWrites::share(const Answer& answer) {
  bool lost = answer.result && !answer.result->succeeded && answer.fate == WriteFate::done;
  // An index entry concerns only one request's lease.
  bool shows_index = lost && std::ranges::any_of(answer.result->found, [](const pb::RangeResponse& range) {
                       return range.kvs_size() > 0 && range.kvs(0).key().starts_with(kLeaseIndexPrefix);
                     });
  return lost && !shows_index ? std::optional(answer) : std::nullopt;
}

// Without an epoch: an old etcd without space does not notice a put in a nested transaction (R18), and then no epoch
// can be begun either.
Task<EtcdWrites::Answer> EtcdWrites::send_plain(Item* item, Deadline deadline) {
  Items one(1, item);
  Looks looks = look_beside(one, deadline);
  auto known = witness_.known_of_ours(client_.highest());
  pb::TxnRequest request;
  add_guard(request, witness_);
  epoch_.expect_base(request);
  request.MergeFromString(item->request.bytes);
  // Only beside a put: without space, a transaction with a put can't erase anything either.
  if (item->puts) {
    BootTime now = clock_.boot_now();
    add_witness(*request.mutable_success(), witness_, witness_.value(now, item->promises.until(now).value_or(now)));
  }
  int looked = request.failure_size();
  add_own_ranges(*request.mutable_failure(), witness_);
  EtcdTxn how = item->looks ? EtcdTxn::guarded : EtcdTxn::guarded_and_logged;
  auto answer = co_await client_.txn(std::move(request), item->repeatable, deadline, how);
  WriteFate fate = perhaps_not_over(both(item->fate, fate_of(call_of(answer))));
  if (!answer.result) co_return Answer{answer.result.error(), fate};
  if (!answer.result->succeeded()) {
    loss_.examine(known, answer.compared_with, *answer.result, looked);
    answer.result->mutable_responses()->DeleteSubrange(looked, kOwnRanges);
  } else if (item->puts) {
    loss_.confirm(known, Revision{answer.result->header().revision()});
  }
  if (auto refused = witness_.refusal()) {
    if (answer.result->succeeded()) fate = WriteFate::unknown_may_still_happen;
    co_return Answer{*std::move(refused), fate};
  }
  if (item->puts && answer.result->succeeded()) client_.found_space();
  Revision as_of{answer.result->header().revision()};
  TxnAnswer told = to_txn_answer(*answer.result, as_of);
  told.looks = std::move(looks);
  told.term = answer.result->header().raft_term();
  co_return Answer{std::move(told), fate};
}

// etcd's answer about a lease counts from when the question was sent, so the question need not wait for the request's
// answer. Nothing: there is nothing to ask.
EtcdWrites::Looks EtcdWrites::look_beside(const Items& items, Deadline deadline) {
  std::vector<LeaseId> ids;
  for (const Item* item : items) ids.insert(ids.end(), item->rests_on.begin(), item->rests_on.end());
  if (ids.empty()) return nullptr;
  auto looks = std::make_shared<EtcdLeaseLooks>(
      std::move(ids), [this](LeaseId id, Deadline until) { return look_at_lease(client_, id, until); }, clock_);
  EtcdLeaseLooks::begin(looks, executor_, background_, deadline);
  return looks;
}

Task<EtcdWrites::Answer> EtcdWrites::send_alone(Item* item, Deadline deadline) {
  if (!item->looks && !client_.lacks_space()) {
    Items one(1, item);
    Looks looks = look_beside(one, deadline);
    WriteTries tries(item->fate);
    auto answer = co_await send_in_epoch(&one, item->repeatable, &tries, deadline);
    item->fate = tries.fate();
    auto next = tries.after_one(client_.lacks_space(), item->repeatable);
    if (next == WriteTries::Next::tell) co_return answer_of(answer, 0, item->fate, looks);
  }
  co_return co_await send_plain(item, deadline);
}

Task<std::optional<std::vector<EtcdWrites::Answer>>> EtcdWrites::send(const std::vector<Item*>* items,
                                                                      Deadline deadline) {
  Looks looks = look_beside(*items, deadline);
  WriteTries tries(WriteFate::not_sent);  // an item that was tried before goes alone
  auto answer = co_await send_in_epoch(items, /*repeatable=*/true, &tries, deadline);
  if (tries.after_batch(client_.lacks_space()) == WriteTries::Next::each_alone) {
    for (Item* item : *items) item->fate = tries.fate();
    co_return std::nullopt;
  }
  std::vector<Answer> answers;
  answers.reserve(items->size());
  for (std::size_t i = 0; i < items->size(); ++i) answers.push_back(answer_of(answer, i, tries.fate(), looks));
  co_return answers;
}

std::string EtcdWrites::own_ranges(const EtcdWitness& witness) {
  pb::TxnRequest request;
  add_own_ranges(*request.mutable_failure(), witness);
  return request.SerializeAsString();
}

// One transaction that compares the epoch and the witness, puts the witness, and holds each item's transaction.
EtcdNestedRequest EtcdWrites::within_epoch(const Items& items, Revision epoch) {
  constexpr std::size_t kEach = 16;  // bytes around a transaction, at most
  EtcdNestedRequest request;
  add_guard(request.comparing, witness_);
  expect_revision(request.comparing, epoch_.key(), epoch);
  BootTime now = clock_.boot_now();
  BootTime promised = now;
  std::size_t size = 0;
  for (const Item* item : items) {
    promised = std::max(promised, item->promises.until(now).value_or(now));
    size += item->request.bytes.size() + kEach;
  }
  pb::TxnRequest put;
  add_witness(*put.mutable_success(), witness_, witness_.value(now, promised));
  request.rest.reserve(size + put.ByteSizeLong() + own_ranges_.size());
  for (const Item* item : items) request.nest(item->request.bytes);
  put.AppendToString(&request.rest);
  request.rest += own_ranges_;
  return request;
}

// Every answer is reported to `tries`.
Task<EtcdWrites::Response> EtcdWrites::send_in_epoch(const Items* items, bool repeatable, WriteTries* tries,
                                                     Deadline deadline) {
  for (int count = 0; count < kEpochs; ++count) {
    auto epoch = co_await epoch_.current(deadline);
    if (!epoch) co_return epoch.error();
    auto known = witness_.known_of_ours(client_.highest());
    EtcdNestedRequest request = within_epoch(*items, *epoch);
    auto answer = co_await client_.nested_txn(std::move(request), repeatable, deadline, EtcdTxn::guarded_and_logged);
    bool is_over = answer.result && !answer.result->succeeded();
    auto next = tries->called(call_of(answer), is_over);
    if (answer.result && !is_over) loss_.confirm(known, Revision{answer.result->header().revision()});
    if (is_over) loss_.examine(known, answer.compared_with, answer.result->failed(), 0);
    if (auto refused = witness_.refusal()) {
      tries->disbelieve();
      co_return *std::move(refused);
    }
    if (next == WriteTries::Next::next_epoch) {
      epoch_.is_over(*epoch);
      continue;
    }
    if (next == WriteTries::Next::end_epoch) {
      bool ended = co_await epoch_.end(*epoch, deadline);
      tries->epoch_ended(ended);
    }
    co_return std::move(answer.result);
  }
  co_return Error{Errc::unavailable, "etcd refuses each epoch of our writes"};
}

}  // namespace sharedlock
