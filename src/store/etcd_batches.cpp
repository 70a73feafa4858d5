#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "store/etcd_batches_grpc.h"

namespace sharedlock {

namespace pb = etcdserverpb;

namespace {

// What a transaction may hold so that a full batch stays below what etcd allows; sets of locks hold more.
constexpr std::size_t kMostParts = 8;

constexpr std::size_t kMostRanges = 120;  // etcd allows 128 operations

constexpr int kTries = 4;  // of a request whose epoch is over

bool puts_anything(const Transaction& transaction) {
  return std::ranges::any_of(transaction.changes,
                             [](const auto& change) { return std::holds_alternative<Put>(change); });
}

// Equal for ranges that are answered alike.
std::string identity(const pb::RangeRequest& range) {
  return range.SerializeAsString();
}

// Each as a transaction within one that is compared with the epoch.
pb::TxnRequest within_epoch(const std::vector<EtcdWrites::Item*>& items, const std::string& key, Revision epoch) {
  pb::TxnRequest request;
  pb::Compare& compare = *request.add_compare();
  compare.set_key(key);
  compare.set_result(pb::Compare::EQUAL);
  compare.set_target(pb::Compare::MOD);
  compare.set_mod_revision(number_of(epoch));
  for (const EtcdWrites::Item* item : items) request.add_success()->set_request_txn(item->request.bytes);
  return request;
}

// The answer to the item, which is the transaction [i] of those that this is the answer to.
EtcdWrites::Answer answer_of(const EtcdAnswer<pb::TxnResponse>& batch, std::size_t i, const EtcdWrites::Item& item) {
  bool unanswered = batch.unanswered || item.unanswered;
  bool settled = batch.settled && !item.unsettled;
  if (!batch.result) return {batch.result.error(), unanswered, batch.refused, settled};
  Revision as_of{batch.result->header().revision()};
  std::optional<TxnAnswer> answer;
  if (static_cast<int>(i) < batch.result->responses_size()) {
    answer = decode_txn_answer(batch.result->responses(static_cast<int>(i)).response_txn(), as_of);
  }
  if (!answer) return {Error{Errc::unavailable, "etcd's answer makes no sense"}, /*unanswered=*/true};
  return {*std::move(answer), unanswered, /*refused=*/false, settled};
}

// The ranges of all items, each once, and which item is answered by which.
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
  if (item->ranges.size() != 1) {
    std::vector<Item*> one(1, item);
    auto answers = co_await send(&one, deadline);
    co_return answers ? std::move(answers->front()) : Answer(client_.unreachable());
  }
  pb::RangeRequest request = item->ranges[0];
  auto answer = co_await client_.range(std::move(request), deadline);
  if (!answer) co_return answer.error();
  Found found{.ranges = {}, .as_of = Revision{answer->header().revision()}};
  found.ranges.push_back(*std::move(answer));
  co_return found;
}

Task<std::optional<std::vector<EtcdReads::Answer>>> EtcdReads::send(const std::vector<Item*>* items,
                                                                    Deadline deadline) {
  SharedRanges shared(*items);
  auto answer = co_await client_.txn(std::move(shared.request), /*repeatable=*/true, deadline);
  std::vector<Answer> answers;
  answers.reserve(items->size());
  if (!answer.result) {
    // One that etcd refuses must not spoil the others.
    if (answer.refused && items->size() > 1) co_return std::nullopt;
    answers.assign(items->size(), answer.result.error());
    co_return answers;
  }
  Revision as_of{answer.result->header().revision()};
  auto place = shared.places.begin();
  for (const Item* item : *items) {
    Found found{.ranges = {}, .as_of = as_of};
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
      looks(of.changes.empty()),
      repeatable(guards_itself(of)),
      large(of.expect.size() + of.none_under.size() + of.changes.size() > kMostParts) {}

std::optional<EtcdWrites::Answer> EtcdWrites::share(const Answer& answer) {
  bool lost = answer.result && !answer.result->succeeded && !answer.unanswered;
  return lost ? std::optional(answer) : std::nullopt;
}

// Compared with no epoch: an old etcd does not notice a put in a nested transaction when it has no space (R18), and
// then an epoch, too, can't be begun.
Task<EtcdWrites::Answer> EtcdWrites::send_plain(const Item* item, Deadline deadline) {
  pb::TxnRequest request;
  request.ParseFromString(item->request.bytes);
  auto answer = co_await client_.txn(std::move(request), item->repeatable, deadline);
  if (!answer.result) co_return Answer{answer.result.error(), answer.unanswered, answer.refused};
  if (item->puts && answer.result->succeeded()) client_.found_space();
  Revision as_of{answer.result->header().revision()};
  co_return Answer{to_txn_answer(*answer.result, as_of), answer.unanswered};
}

Task<EtcdWrites::Answer> EtcdWrites::send_alone(Item* item, Deadline deadline) {
  if (!item->looks && !client_.lacks_space()) {
    Items one(1, item);
    auto answer = co_await send_in_epoch(&one, item->repeatable, deadline);
    item->unanswered = item->unanswered || answer.unanswered;
    bool no_space = !answer.result && !answer.refused && client_.lacks_space();
    if (!no_space || (answer.unanswered && !item->repeatable)) co_return answer_of(answer, 0, *item);
  }
  auto answer = co_await send_plain(item, deadline);
  answer.unanswered = answer.unanswered || item->unanswered;
  co_return answer;
}

Task<std::optional<std::vector<EtcdWrites::Answer>>> EtcdWrites::send(const std::vector<Item*>* items,
                                                                      Deadline deadline) {
  auto answer = co_await send_in_epoch(items, /*repeatable=*/true, deadline);
  if (!answer.result && (answer.refused || client_.lacks_space())) {
    // One whose lease has ended spoils them all; and without space no epoch can be begun.
    for (Item* item : *items) {
      item->unanswered = item->unanswered || answer.unanswered;
      item->unsettled = item->unsettled || !answer.settled;
    }
    co_return std::nullopt;
  }
  std::vector<Answer> answers;
  answers.reserve(items->size());
  for (std::size_t i = 0; i < items->size(); ++i) answers.push_back(answer_of(answer, i, *(*items)[i]));
  co_return answers;
}

// As long as the epoch is found to be over nothing was done, and it is sent in the next one.
Task<EtcdWrites::Response> EtcdWrites::send_in_epoch(const Items* items, bool repeatable, Deadline deadline) {
  bool unanswered = false;  // in an epoch that is over
  for (int tries = 0; tries < kTries; ++tries) {
    auto epoch = co_await epoch_.current(deadline);
    if (!epoch) co_return Response{epoch.error(), unanswered, /*refused=*/false, /*settled=*/true};
    auto answer = co_await client_.txn(within_epoch(*items, epoch_.key(), *epoch), repeatable, deadline);
    bool is_over = answer.result && !answer.result->succeeded();
    answer.settled = is_over || !answer.unanswered;
    if (is_over) epoch_.is_over(*epoch);
    if (!answer.settled) answer.settled = co_await epoch_.end(*epoch, deadline);
    answer.unanswered = answer.unanswered || unanswered;
    if (!is_over) co_return answer;
    unanswered = answer.unanswered;
  }
  Error refused{Errc::unavailable, "etcd refuses each epoch of our writes"};
  co_return Response{std::move(refused), unanswered, /*refused=*/false, /*settled=*/true};
}

}  // namespace sharedlock
