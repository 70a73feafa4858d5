#include "store/etcd/write/epoch.h"

#include <etcd.pb.h>

#include <utility>

#include "base/random.h"
#include "store/etcd/lease/lease_pool.h"
#include "store/etcd/rpc/client.h"
#include "store/etcd/token_base.h"
#include "store/etcd/witness/loss_grpc.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

// A dead server's key expires by itself.
constexpr std::chrono::minutes kKeyLives{60};
constexpr std::chrono::minutes kLongest{30};

// Time limit of one background try.
constexpr std::chrono::seconds kLongestTry{2};

}  // namespace

EtcdEpoch::EtcdEpoch(EtcdClient& client, EtcdWitness& witness, EtcdLoss& loss, EtcdTokenBase& token_base,
                     EtcdLeasePool& pool, Clock& clock, Log& log, Executor executor)
    : client_(client),
      witness_(witness),
      loss_(loss),
      token_base_(token_base),
      pool_(pool),
      clock_(clock),
      executor_(executor),
      key_(kEpochPrefix + random_uuid()),
      beginning_(clock),
      unended_(std::in_place, clock, log, "what etcd was asked without an answer may still be carried out") {}

Revision EtcdEpoch::present() const {
  return clock_.boot_now() < ends_.load() ? epoch_.load() : kAbsent;
}

Task<Result<Revision>> EtcdEpoch::current(Deadline deadline) {
  Revision epoch = present();
  if (epoch != kAbsent) co_return epoch;
  auto work = [this, deadline] { return begin(deadline); };
  auto begun = co_await beginning_.join(work, deadline);
  co_return begun ? *std::move(begun) : client_.unreachable();
}

// Single-flight. If another run has ended since the caller looked, its epoch is found here and reused.
Task<Result<Revision>> EtcdEpoch::begin(Deadline deadline) {
  Revision epoch = present();
  if (epoch != kAbsent) co_return epoch;
  BootTime now = clock_.boot_now();
  auto lease = co_await lease_for_key(now, deadline);
  if (!lease) co_return Error{Errc::unavailable, lease.error().message};
  auto begun = co_await begin_under(*lease, deadline);
  if (!begun) co_return begun;
  ends_ = now + kLongest;
  epoch_ = *begun;
  co_return begun;
}

Task<Result<Revision>> EtcdEpoch::begin_under(LeaseId lease, Deadline deadline) {
  auto known = witness_.known_of_ours(client_.highest());
  pb::TxnRequest request;
  add_guard(request, witness_);
  expect_base(request);
  pb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(key_);
  put.set_lease(number_of(lease));
  add_witness(*request.mutable_success(), witness_, witness_.value(clock_.boot_now()));
  add_own_ranges(*request.mutable_failure(), witness_);
  auto written = co_await client_.txn(std::move(request), /*repeatable=*/true, deadline, EtcdTxn::guarded_and_logged);
  if (!written.result) {
    if (written.result.error().code == Errc::lease_not_found) {
      pool_.drop(lease);
      lease_ends_ = BootTime();
    }
    co_return Error{Errc::unavailable, written.result.error().message};
  }
  bool begun = written.result->succeeded();
  bool fine = begun ? loss_.confirm(known, Revision{written.result->header().revision()})
                    : loss_.examine(known, written.compared_with, *written.result, 0);
  if (!fine) co_return *witness_.refusal();
  if (!begun) co_return Error{Errc::unavailable, std::string(kTokenBaseKey) + " in etcd has just been changed"};
  co_return Revision{written.result->header().revision()};
}

void EtcdEpoch::expect_base(pb::TxnRequest& request) const {
  expect_value(request, kTokenBaseKey, token_base_.text());
}

// One lease for many epochs: an epoch does not end by its lease.
Task<Result<LeaseId>> EtcdEpoch::lease_for_key(BootTime now, Deadline deadline) {
  if (lease_ends_ > now + kLongest) co_return lease_;
  auto lease = co_await pool_.join(now + kKeyLives, deadline);
  if (!lease) co_return lease.error();
  lease_ = lease->id;
  lease_ends_ = now + kKeyLives;
  co_return lease_;
}

void EtcdEpoch::is_over(Revision epoch) {
  epoch_.compare_exchange_strong(epoch, kAbsent);
}

Task<bool> EtcdEpoch::end(Revision epoch, Deadline deadline) {
  is_over(epoch);
  auto next = co_await current(deadline);
  // False if current() returned this very epoch, from a run that began it and was still handing it out.
  bool ended = next && *next > epoch;
  // Without space nothing can be put.
  if (!ended && client_.lacks_space()) ended = co_await leave(deadline);
  if (ended) has_ended(epoch);
  if (!ended) end_in_background(epoch);
  co_return ended;
}

void EtcdEpoch::has_ended(Revision epoch) {
  Revision before = ended_;
  while (epoch > before && !ended_.compare_exchange_weak(before, epoch)) {
  }
}

void EtcdEpoch::end_in_background(Revision epoch) {
  Revision before = to_end_;
  while (epoch > before && !to_end_.compare_exchange_weak(before, epoch)) {
  }
  if (is_ending_late_.exchange(true)) return;
  unended_->add(executor_, [this] { return end_late(); }, clock_.boot_now(), BootTime::max());
}

Task<bool> EtcdEpoch::end_late() {
  Deadline deadline{clock_.boot_now() + kLongestTry};
  is_ending_late_ = false;  // calls from now on may be too late for this try, and start another one
  Revision epoch = to_end_;
  auto next = co_await current(deadline);
  bool ended = next && *next > epoch;
  if (!ended && client_.lacks_space()) ended = co_await leave(deadline);
  if (ended) has_ended(epoch);
  co_return ended || is_ending_late_.exchange(true);
}

// Reads the witness too: anything seen as done afterwards was done by then.
Task<bool> EtcdEpoch::leave(Deadline deadline) {
  pb::TxnRequest request;
  request.add_success()->mutable_request_delete_range()->set_key(key_);
  add_own_ranges(*request.mutable_success(), witness_);
  auto erased = co_await client_.txn(std::move(request), /*repeatable=*/true, deadline);
  if (!erased.result) co_return false;
  witness_.confirmed(read_own_ranges(*erased.result, 1).own);
  co_return true;
}

}  // namespace sharedlock
