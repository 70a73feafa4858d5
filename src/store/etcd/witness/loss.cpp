#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/time_text.h"
#include "store/etcd/rpc/connections_grpc.h"
#include "store/etcd/rpc/error_class.h"
#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/token_base.h"
#include "store/etcd/watches.h"
#include "store/etcd/witness/loss_grpc.h"
#include "store/etcd/write/epoch.h"
#include "store/lease_ids.h"

namespace sharedlock {

namespace pb = etcdserverpb;

namespace {

constexpr std::chrono::milliseconds kBetweenPolls{500};  // while everything is refused
constexpr std::chrono::milliseconds kBetweenLooks{250};  // while all is well
constexpr std::chrono::seconds kBetweenPuts{1};          // that fail
constexpr std::chrono::minutes kBetweenErasures{1};
constexpr int kErasures = 32;  // at once
constexpr std::chrono::seconds kLongestAsk{2};

// How far tokens are raised above all that this server knows: others may have issued later ones that it never saw.
constexpr std::int64_t kUnseenTokens = 1'000'000;

constexpr const char* kWayOut =
    "; nothing is served until what was promised has ended, or an operator says `shared-lock store accept`";

}  // namespace

EtcdLoss::EtcdLoss(EtcdConnections& connections, EtcdClient& client, EtcdWitness& witness, EtcdTokenBase& token_base,
                   EtcdWatches& watches, EtcdLossHandler handler, Executor executor)
    : connections_(connections),
      client_(client),
      witness_(witness),
      token_base_(token_base),
      watches_(watches),
      clock_(connections.clock()),
      log_(connections.log()),
      handler_(std::move(handler)),
      executor_(executor),
      wake_(std::make_shared<AsyncEvent>(executor)) {
  connections_.set_check([this](EtcdMember* member, std::chrono::nanoseconds span) { return check(member, span); });
  connections_.set_recognize(
      [this](EtcdMember* member, std::chrono::nanoseconds span) { return recognize(member, span); });
}

Deadline EtcdLoss::soon() const {
  return {clock_.boot_now() + kLongestAsk};
}

void EtcdLoss::wake() {
  asio::post(executor_, [event = wake_] { event->raise(); });
}

void EtcdLoss::stop() {
  stopping_ = true;
  wake_->raise();
}

Task<void> EtcdLoss::attend() {
  put_at_ = clock_.boot_now();
  erased_at_ = put_at_;
  while (!stopping_) {
    co_await wake_->wait(witness_.refuses() ? kBetweenPolls : kBetweenLooks);
    if (stopping_) break;
    if (witness_.refuses()) {
      co_await poll();
    } else {
      co_await keep_fresh();
      co_await look();
    }
  }
}

bool EtcdLoss::examine(const EtcdWitness::Known& known, const EtcdWitness::Found& found) {
  using Verdict = EtcdWitness::Verdict;
  auto [verdict, why] = EtcdWitness::judge(known, found, clock_.boot_now());
  switch (verdict) {
    case Verdict::fine:
      if (!witness_.refuses()) witness_.saw_generation(found.generation);
      break;
    case Verdict::marked:
      witness_.saw_generation(found.generation);  // older than the mark, since an acceptance erases the mark
      refuse("etcd is marked as having forgotten what it confirmed", why);
      break;
    case Verdict::lost:
      lost(why);
      break;
    case Verdict::over:
    case Verdict::accepted:
      // The next poll says the same, and then this store ends.
      refuse("etcd has forgotten what it confirmed, and nothing of that can still be held: the server begins anew",
             why);
      break;
  }
  return !witness_.refuses();
}

bool EtcdLoss::examine(EtcdWitness::Known known, Revision compared_with, const pb::TxnResponse& failed, int first) {
  known.floor = compared_with;
  EtcdWitness::Found found = read_own_ranges(failed, first);
  if (examine(known, found)) look_at_base(found.base, found.as_of);
  return !witness_.refuses();
}

bool EtcdLoss::confirm(const EtcdWitness::Known& known, Revision at) {
  if (at > known.highest) {
    witness_.confirmed(at);
    return !witness_.refuses();
  }
  // It was compared with less than what has been confirmed since.
  EtcdWitness::Found found;
  found.own = known.floor;
  found.as_of = Revision{number_of(at) - 1};
  return examine(known, found);
}

void EtcdLoss::lost(std::string why) {
  {
    std::scoped_lock lock(mutex_);
    if (why_.empty()) why_ = why;
  }
  lost_ = true;
  refuse("etcd has forgotten what it confirmed, or was changed beneath its servers", why);
}

void EtcdLoss::refuse(const std::string& because, const std::string& why) {
  std::string reason = because + ": " + why;
  if (!witness_.refuse(reason + kWayOut)) return;
  log_.write(LogLevel::error, "nothing is served: " + reason);
  watches_.stop();
  if (handler_.refuses) handler_.refuses();
  wake();
}

void EtcdLoss::end() {
  if (ended_.exchange(true)) return;
  log_.write(LogLevel::warn, "what etcd has forgotten is over or accepted; the server begins anew");
  if (handler_.begin_anew) handler_.begin_anew();
}

// A change of the base is the only sign for a server that did not notice the loss itself.
void EtcdLoss::look_at_base(const std::optional<std::string>& stands, Revision as_of) {
  auto change = token_base_.change(stands, as_of);
  if (change == EtcdTokenBase::Change::raised) {
    refuse("etcd had forgotten what it confirmed; the server begins anew", std::string(kTokenBaseKey) + " was raised");
  } else if (change == EtcdTokenBase::Change::lost) {
    lost(std::string(kTokenBaseKey) + (stands ? " was changed to " + *stands : " was erased"));
  }
}

// The first question on a new connection.
Task<Result<void>> EtcdLoss::check(EtcdMember* member, std::chrono::nanoseconds span) {
  auto known = witness_.known_of_all(client_.highest());
  auto token_generation = connections_.token_generation();
  pb::TxnRequest request = ask_for_all(/*logged=*/true);
  pb::TxnResponse response;
  auto failure = co_await connections_.ask(member, &request, span, &response);
  if (failure.code == 0) {
    if (!connections_.is_ours(*member, response.header())) co_return connections_.unreachable(Errc::unavailable);
    co_return checked(known, response);
  }
  if (classify_etcd_error(failure.code, failure.message).next == EtcdErrorClass::Next::renew_token) {
    connections_.renew_token(token_generation);
  }
  connections_.failed(*member, failure, span);
  co_return connections_.unreachable(Errc::unavailable);
}

Result<void> EtcdLoss::checked(const EtcdWitness::Known& known, const pb::TxnResponse& response) {
  EtcdFoundAll all = read_all(response, witness_);
  if (!examine(known, all.found)) return {};
  look_at_base(all.found.base, all.found.as_of);
  for (const pb::KeyValue& kv : all.witnesses) take_witness(kv.key(), kv.value(), Revision{kv.mod_revision()});
  witness_.keep_only(all.found.others);
  return {};
}

// Reads the others' witnesses, which change with each of their changes: a watch would report each, and cost more than
// everything else that is done for this.
Task<void> EtcdLoss::look() {
  auto known = witness_.known_of_all(client_.highest());
  auto answer = co_await client_.txn(ask_for_all(/*logged=*/false), /*repeatable=*/true, soon());
  if (answer.result) (void)checked(known, *answer.result);
}

// All endpoints that answer now belong to another cluster. It is ours, restored under another id, if it has a witness
// that we know; else it may be anyone's, and nothing is written there.
Task<bool> EtcdLoss::recognize(EtcdMember* member, std::chrono::nanoseconds span) {
  auto known = witness_.known_of_all(client_.highest());
  pb::RangeRequest request = range_of_prefix(std::string(kWitnessPrefix));
  request.set_keys_only(true);
  pb::RangeResponse response;
  auto failure = co_await connections_.ask(member, &request, span, &response);
  auto is_known = [&](const pb::KeyValue& kv) { return kv.key() == witness_.key() || known.others.contains(kv.key()); };
  if (failure.code != 0 || std::ranges::none_of(response.kvs(), is_known)) co_return false;
  lost("it was restored as another cluster");
  co_return true;
}

void EtcdLoss::take_witness(const std::string& key, std::string_view value, Revision revision) {
  auto other_prefix = witness_.saw(key, value, revision, clock_.boot_now());
  if (!other_prefix) return;
  log_.write(
      LogLevel::warn,
      "another server on this etcd uses another key prefix: what one of them grants, the other one may grant too",
      {{"prefix", *other_prefix}});
}

// Runs while everything is refused.
Task<void> EtcdLoss::poll() {
  auto known = witness_.known_of_all(client_.highest());
  auto answer = co_await client_.txn(ask_for_all(/*logged=*/true), /*repeatable=*/true, soon(), EtcdTxn::logged);
  if (!answer.result) co_return;
  EtcdFoundAll all = read_all(*answer.result, witness_);
  BootTime now = clock_.boot_now();
  auto judgement = EtcdWitness::judge(known, all.found, now);
  if (judgement.verdict == EtcdWitness::Verdict::lost) lost(judgement.why);
  bool accepted = all.found.generation > known.generation;
  bool shields = lost_ && known.promised_end > now && !accepted;
  if (!shields && !accepted && all.mark) co_return;
  if (shields) {
    bool shielded = co_await shield(&all);
    if (!shielded) co_return;
  }
  bool raised = co_await raise_base(&all);
  if (raised && !shields) end();
}

// Ensures that there is a mark which lasts as long as the promises. True: there was one.
Task<bool> EtcdLoss::shield(const EtcdFoundAll* all) {
  auto left = witness_.promised_end() - clock_.boot_now();
  auto wanted = std::min(std::chrono::ceil<std::chrono::seconds>(left) + std::chrono::seconds(1), kLongestPromise);
  Revision mark_at = kAbsent;
  if (all->mark) {
    mark_at = Revision{all->mark->mod_revision()};
    bool enough = mark_at == shielded_at_;
    LeaseId lease = LeaseId{all->mark->lease()};
    if (!enough) enough = co_await is_long_enough(lease, wanted);
    if (enough) shielded_at_ = mark_at;
    if (enough) co_return true;
  }
  co_await write_mark(mark_at, all, wanted);
  co_return false;
}

// Tokens must not fall although etcd's revisions did: raises the base above all tokens that this server has given or
// seen (R31). Not before the other servers are blocked by the mark: those that run start anew when they see this. It
// ends all epochs, so that no server that does not know of it makes a change. False: the base is already right.
bool EtcdLoss::add_base(pb::TxnRequest& request, const EtcdFoundAll& all) const {
  if (!token_base_.is_known()) return false;
  std::int64_t given = token_base_.value() + number_of(client_.highest());
  std::int64_t stands = all.found.base ? parse_token_base(*all.found.base).value_or(0) : 0;
  if (stands + number_of(all.found.as_of) >= given) return false;
  expect_revision(request, kTokenBaseKey, all.base_at);
  pb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(kTokenBaseKey);
  put.set_value(std::to_string(given + kUnseenTokens));
  pb::RangeRequest epochs = range_of_prefix(kEpochPrefix);
  pb::DeleteRangeRequest& erase = *request.add_success()->mutable_request_delete_range();
  erase.set_key(epochs.key());
  erase.set_range_end(epochs.range_end());
  return true;
}

// True: the base is right.
Task<bool> EtcdLoss::raise_base(const EtcdFoundAll* all) {
  pb::TxnRequest request;
  if (!add_base(request, *all)) co_return true;
  auto written = co_await client_.txn(std::move(request), /*repeatable=*/true, soon(), EtcdTxn::logged);
  co_return written.result&& written.result->succeeded();
}

Task<bool> EtcdLoss::is_long_enough(LeaseId lease, std::chrono::seconds wanted) {
  if (lease == LeaseId{0}) co_return true;
  pb::LeaseTimeToLiveRequest request;
  request.set_id(number_of(lease));
  auto answer = co_await client_.time_to_live(std::move(request), soon());
  // etcd rounds down, and we rounded up and added one.
  co_return answer.result&& answer.result->ttl() + 1 >= wanted.count();
}

// The mark and the base are written together: if all servers ended in between, later ones would wait for the mark to
// end, and then give lower tokens, since the highest token would no longer be known.
Task<void> EtcdLoss::write_mark(Revision mark_at, const EtcdFoundAll* all, std::chrono::seconds ttl) {
  LeaseId id = random_shared_lease_id();
  pb::LeaseGrantRequest grant;
  grant.set_id(number_of(id));
  grant.set_ttl(ttl.count());
  auto granted = co_await client_.grant(std::move(grant), soon());
  if (!granted.result) co_return;
  pb::TxnRequest request;
  expect_revision(request, kLostKey, mark_at);
  expect_revision(request, kGenerationKey, all->generation_at);  // it has not been accepted meanwhile
  pb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(std::string(kLostKey));
  put.set_lease(number_of(id));
  {
    std::scoped_lock lock(mutex_);
    put.set_value(to_rfc3339(clock_.wall_now()) + " " + why_);
  }
  add_base(request, *all);
  auto written = co_await client_.txn(std::move(request), /*repeatable=*/true, soon(), EtcdTxn::logged);
  if (written.result && written.result->succeeded()) shielded_at_ = Revision{written.result->header().revision()};
  bool surely_not = written.result && !written.result->succeeded() && !written.unanswered;
  if (!surely_not) co_return;
  pb::LeaseRevokeRequest useless;
  useless.set_id(number_of(id));
  co_await client_.revoke(std::move(useless), soon());
}

Task<void> EtcdLoss::keep_fresh() {
  BootTime now = clock_.boot_now();
  Revision floor = witness_.floor();
  if (floor != std::exchange(seen_floor_, floor)) put_at_ = now;
  if (now >= next_put_ && witness_.is_due(put_at_, told_beside_, now)) {
    next_put_ = now + kBetweenPuts;
    co_await put_witness(/*ended=*/false, soon());
  }
  // If nothing can be put, the others can't put theirs either.
  if (now - erased_at_ < kBetweenErasures || client_.lacks_space() || witness_.refuses()) co_return;
  erased_at_ = now;
  co_await erase_stale();
}

Task<void> EtcdLoss::put_witness(bool ended, Deadline deadline) {
  auto known = witness_.known_of_ours(client_.highest());
  BootTime now = clock_.boot_now();
  BootTime told = witness_.told_beside(now);
  pb::TxnRequest request;
  add_guard(request, witness_);
  add_witness(*request.mutable_success(), witness_, witness_.value(now, BootTime(), ended));
  add_own_ranges(*request.mutable_failure(), witness_);
  auto put = co_await client_.txn(std::move(request), /*repeatable=*/true, deadline, EtcdTxn::guarded_and_logged);
  if (!put.result) co_return;
  if (put.result->succeeded()) {
    confirm(known, Revision{put.result->header().revision()});
    told_beside_ = told;
  } else {
    examine(known, put.compared_with, *put.result, 0);
  }
}

Task<void> EtcdLoss::erase_stale() {
  int erasures = 0;
  for (const auto& [key, revision] : witness_.stale(clock_.boot_now())) {
    if (++erasures > kErasures || stopping_) co_return;
    pb::TxnRequest request;
    expect_revision(request, key, revision);
    request.add_success()->mutable_request_delete_range()->set_key(key);
    auto erased = co_await client_.txn(std::move(request), /*repeatable=*/true, soon());
    if (!erased.result) co_return;
  }
}

Task<void> EtcdLoss::shut_down(Deadline deadline) {
  if (witness_.floor() != kAbsent && !witness_.refuses()) co_await put_witness(/*ended=*/true, deadline);
}

}  // namespace sharedlock
