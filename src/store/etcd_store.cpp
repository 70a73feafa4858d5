#include "store/etcd_store.h"

#include <etcd.pb.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/io_threads.h"
#include "base/presence_hints.h"
#include "store/etcd_batch_queue.h"
#include "store/etcd_batches_grpc.h"
#include "store/etcd_client.h"
#include "store/etcd_connections_grpc.h"
#include "store/etcd_keepalive.h"
#include "store/etcd_lease_looks.h"
#include "store/etcd_lease_pool.h"
#include "store/etcd_leases.h"
#include "store/etcd_loss_grpc.h"
#include "store/etcd_messages_grpc.h"
#include "store/etcd_outcome_grpc.h"
#include "store/etcd_session.h"
#include "store/etcd_short_leases.h"
#include "store/etcd_token_base.h"
#include "store/etcd_watches.h"
#include "store/etcd_witness.h"
#include "store/lease_turns.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

constexpr EtcdBatchLimits kBatches{.batches = 4, .enough = 32};

const OwnLease* own_lease_in(const Transaction& transaction) {
  for (const Mutation& change : transaction.changes) {
    if (auto* own = own_lease_of(change)) return own;
  }
  return nullptr;
}

class EtcdStore final : public LeaseStore {
 public:
  EtcdStore(EtcdOptions options, std::vector<EtcdEndpoint> endpoints, Clock& clock, Log& log, EtcdLossHandler when_lost)
      : clock_(clock),
        witness_(options.key_prefix, options.largest_ttl),
        connections_(std::move(options), std::move(endpoints), clock, log),
        client_(connections_, witness_),
        loss_(connections_, client_, witness_, token_base_, watches_, std::move(when_lost), executor()),
        etcd_reads_(client_, witness_, loss_),
        epoch_(client_, witness_, loss_, token_base_, pool_, clock, log, executor()),
        etcd_writes_(client_, witness_, loss_, epoch_, clock, executor(), background_),
        reads_(etcd_reads_, kBatches, clock, executor(), background_),
        writes_(etcd_writes_, kBatches, clock, executor(), background_),
        token_base_(client_, connections_.options().token_base),
        keepalive_(connections_, executor(), background_),
        watches_(connections_, client_, executor(), background_),
        leases_(client_, keepalive_, watches_, connections_.options(), clock, log, executor()),
        pool_(leases_, clock, executor(), background_),
        short_leases_([this](BootTime moment) { pool_.drop_sent_before(moment); },
                      [this](Transaction what, Deadline deadline) { return commit(std::move(what), deadline); }, clock,
                      log, executor()),
        session_(client_, keepalive_, watches_, clock, executor(), background_) {
    background_.spawn(executor(), meet());
  }

  ~EtcdStore() override {
    leases_.stop();
    short_leases_.stop();
    epoch_.stop();
    background_.spawn(executor(), say_farewell());
    background_.join();
    short_leases_.join();
    epoch_.join();  // what that tries may have had a lease granted in the background
    background_.join();
  }

  std::int64_t token_base() const override { return token_base_.value(); }

  bool is_shared() const override { return true; }

  Task<Result<Found>> get(std::string key, Deadline deadline) override {
    auto ready = co_await token_base_.known(deadline);
    if (!ready) co_return ready.error();
    EtcdReads::Item read;
    read.ranges.push_back(range_of_key(std::move(key)));
    auto found = co_await reads_.submit(std::move(read), deadline);
    if (!found) co_return found.error();
    co_return Found{to_entry(found->ranges[0]), found->as_of};
  }

  Task<Result<Listing>> list(std::string prefix, std::string after, std::size_t limit, Deadline deadline) override {
    auto ready = co_await token_base_.known(deadline);
    if (!ready) co_return ready.error();
    co_return co_await etcd_reads_.list(std::move(prefix), std::move(after), limit, deadline);
  }

  // What is committed, or may be, is promised, before anybody is told of it: where etcd forgets it in this moment, it
  // is shielded, or not told.
  Task<Result<Outcome>> commit(Transaction transaction, Deadline deadline) override {
    BootTime called = clock_.boot_now();
    if (auto sound = check(transaction); !sound) co_return sound.error();
    if (auto refused = witness_.refusal()) co_return not_sent(*std::move(refused));
    auto promised_until = promise_of(transaction).until(called);
    auto outcome = co_await commit_sound(std::move(transaction), called, deadline);
    auto* committed = outcome ? std::get_if<Committed>(&*outcome) : nullptr;
    bool promised = outcome ? committed != nullptr : outcome_unknown(outcome.error().code);
    if (!promised || !promised_until) co_return outcome;
    witness_.promised(*promised_until);
    if (committed) witness_.promised(saturating_add(called, committed->ttl));
    if (auto refused = witness_.refusal()) co_return *std::move(refused);
    co_return outcome;
  }

  // What etcd answers for leases is not compared with the witness; so it counts only where that does not refuse
  // afterwards.
  Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline deadline) override {
    BootTime called = clock_.boot_now();
    if (auto refused = witness_.refusal()) co_return leases_.lost_or_unavailable(id, *refused);
    auto renewed = co_await leases_.keep_alive(id, std::move(under), deadline);
    if (renewed) witness_.promised_beside(called, *renewed + Ttl{1});
    if (auto refused = witness_.refusal()) co_return leases_.lost_or_unavailable(id, *refused);
    co_return renewed;
  }

  Task<Result<void>> revoke(LeaseId id, std::string under, Deadline deadline) override {
    if (auto refused = witness_.refusal()) co_return *std::move(refused);
    auto revoked = co_await leases_.revoke(id, std::move(under), deadline);
    if (auto refused = witness_.refusal()) co_return *std::move(refused);
    co_return revoked;
  }

  Task<Result<std::optional<LeaseInfo>>> lease(LeaseId id, Deadline deadline) override {
    auto found = co_await leases_.info(id, deadline);
    if (auto refused = witness_.refusal()) co_return *std::move(refused);
    co_return found;
  }

  Task<Result<std::optional<LeaseLife>>> lease_life(LeaseId id, Deadline deadline) override {
    auto life = co_await leases_.life(id, deadline);
    if (auto refused = witness_.refusal()) co_return *std::move(refused);
    co_return life;
  }

  // What etcd answers is committed by a quorum.
  Task<Result<void>> settled(Revision, Deadline) override { co_return Result<void>(); }

  Subscription watch(std::string prefix, std::optional<Revision> after, WatchHandler handler) override {
    return watches_.subscribe(std::move(prefix), after, std::move(handler));
  }

  Subscription follow(std::string prefix, WatchHandler handler) override {
    return watches_.subscribe(std::move(prefix), std::nullopt, std::move(handler), WatchHub::Snapshots::empty);
  }

 private:
  using Leases = EtcdCommitLeases;

  Task<Result<Outcome>> commit_sound(Transaction transaction, BootTime called, Deadline deadline) {
    auto ready = co_await token_base_.known(deadline);
    if (!ready) co_return not_sent(ready.error());
    const OwnLease* own = own_lease_in(transaction);
    if (!own) co_return co_await grant_and_apply(std::move(transaction), called, deadline);

    // A lease of its own is worth a look first: whoever is refused then costs etcd no write at all. But where nothing
    // is known to be in the way, and the lease could be ended again, the commit itself may tell.
    if (own->known_outside || client_.lacks_space() || seems_in_the_way(transaction)) {
      auto refused = co_await look(transaction, deadline);
      if (!refused || *refused) co_return refused ? Result<Outcome>(**std::move(refused)) : refused.error();
    }
    for (const Expect& expect : transaction.expect) hints_.present(expect.key);  // soon, by us or by who has it
    co_return co_await grant_in_turn(std::move(transaction), called, deadline);
  }

  // Of a commit of which nothing was sent.
  static Error not_sent(Error error) {
    if (outcome_unknown(error.code)) error.code = Errc::unanswered;
    return error;
  }

  Executor executor() { return threads_.executor(0); }

  Task<Result<std::optional<Conflict>>> look(const Transaction& transaction, Deadline deadline) {
    if (transaction.expect.empty() && transaction.none_under.empty()) co_return std::optional<Conflict>();
    EtcdReads::Item read{to_look(transaction)};
    auto found = co_await reads_.submit(std::move(read), deadline);
    if (!found) co_return found.error();
    if (holds(transaction, found->ranges)) co_return std::optional<Conflict>();
    co_return std::optional(to_conflict(transaction, std::move(found->ranges), found->as_of));
  }

  bool seems_in_the_way(const Transaction& transaction) const {
    return std::ranges::any_of(transaction.expect, [this](const Expect& expect) {
      return expect.at != kAbsent || hints_.is_present(expect.key);
    });
  }

  // Those who want a lease of one id come one after the other.
  Task<Result<Outcome>> grant_in_turn(Transaction transaction, BootTime called, Deadline deadline) {
    auto id = own_lease_in(transaction)->id;
    if (!id) co_return co_await grant_and_apply(std::move(transaction), called, deadline);
    auto turn = co_await turns_.take(*id);
    co_return co_await grant_and_apply(std::move(transaction), called, deadline);
  }

  Task<Result<Outcome>> grant_and_apply(Transaction transaction, BootTime called, Deadline deadline) {
    Error last{Errc::unanswered, "the leases of a change ended before they were used"};
    for (int attempt = 0; attempt <= connections_.options().max_retries; ++attempt) {
      Leases leases;
      auto granted = co_await grant_all(&transaction, &leases, called, deadline);
      if (!granted) {
        forget(leases);
        co_return not_sent(granted.error());
      }
      auto outcome = co_await apply(&transaction, &leases, deadline);
      if (outcome || outcome.error().code != Errc::lease_not_found) co_return outcome;
      // Nothing was done. A lease of its own is being revoked by now, so its id can't be used again.
      if (leases.own) co_return Error{Errc::unanswered, outcome.error().message};
      // Of ours one has ended in the meantime, or the session's.
      last.message = outcome.error().message;
      for (LeaseId id : leases.ids) {
        session_.lost(id);
        pool_.drop(id);
      }
    }
    co_return last;
  }

  Task<Result<void>> grant_all(const Transaction* transaction, Leases* leases, BootTime called, Deadline deadline) {
    for (const Mutation& change : transaction->changes) {
      auto* put = std::get_if<Put>(&change);
      Result<LeaseId> id(LeaseId{0});
      leases->ends.push_back(put ? shared_end(put->lifetime, called) : std::nullopt);
      if (put) id = co_await lease_for(&put->lifetime, leases, called, deadline);
      if (!id) co_return id.error();
      leases->ids.push_back(*id);
    }
    co_return Result<void>();
  }

  Task<Result<LeaseId>> lease_for(const Lifetime* lifetime, Leases* leases, BootTime called, Deadline deadline) {
    if (std::holds_alternative<SessionLease>(*lifetime)) co_return co_await session_.lease(deadline);
    if (auto* keep = std::get_if<KeepLease>(lifetime)) {
      if (!keep->looked_up) rest_on(keep->id, keep->end, leases);
      co_return keep->id;
    }
    if (auto end = shared_end(*lifetime, called)) {
      auto joined = co_await pool_.join(*end, deadline);
      if (!joined) co_return joined.error();
      if (joined->sent < called) rest_on(joined->id, *end, leases);
      co_return joined->id;
    }
    auto granted = co_await leases_.grant_own(std::get<OwnLease>(*lifetime), deadline);
    if (!granted) co_return granted.error();
    leases->own = *granted;
    co_return granted->id;
  }

  static void rest_on(LeaseId id, BootTime end, Leases* leases) {
    leases->old.push_back(id);
    leases->least.push_back(end);
  }

  Task<Result<Outcome>> apply(const Transaction* transaction, const Leases* leases, Deadline deadline) {
    EtcdWrites::Item write(*transaction, encode_txn(*transaction, leases->ids));
    write.rests_on = leases->old;
    if (leases->own) write.promises.ttl = std::max(write.promises.ttl, leases->own->ttl);  // etcd may give more
    BootTime asked = clock_.boot_now();
    auto answer = co_await writes_.submit(std::move(write), deadline);
    auto outcome = read_outcome(*transaction, *leases, answer);
    bool conflict = outcome && std::holds_alternative<Conflict>(*outcome);
    if (!answer.unanswered && (!outcome || conflict)) {
      forget(*leases);
    } else if (!outcome) {
      // A lease of its own whose id the caller did not choose is known to nobody; a pooled one is never revoked (R3).
      const OwnLease* own = own_lease_in(*transaction);
      if (own && !own->id) leases_.revoke_unknown(leases->own->id);
    }
    if (!outcome || conflict || leases->old.empty()) co_return outcome;
    std::vector<std::optional<BootTime>> told;
    const TxnAnswer& done = *answer.result;
    if (done.looks) told = co_await done.looks->ends(leases->old, done.term, deadline);
    if (live_long_enough(*leases, told)) co_return outcome;
    // Where nothing is known, not even a lease that was granted since then can be relied on: etcd would be asked again.
    bool known = done.looks && std::ranges::all_of(told, [](const auto& end) { return end.has_value(); });
    if (!known) asked = clock_.boot_now();
    auto* committed = std::get_if<Committed>(&*outcome);
    co_return co_await short_leases_.move(transaction, committed, &leases->ends, asked, deadline);
  }

  // What was granted for a commit that surely did not happen.
  void forget(const Leases& leases) {
    if (leases.own && leases.own->made_here) leases_.revoke_unknown(leases.own->id);
  }

  // One try at the beginning, so that the log says early what is wrong with this etcd; then looks.
  Task<void> meet() {
    background_.spawn(executor(), loss_.attend());
    Deadline soon{clock_.boot_now() + connections_.options().request_timeout};
    auto known = co_await token_base_.known(soon);
    if (known) co_await epoch_.current(soon);  // so that the first request need not wait for it
    if (!known) connections_.log().write(LogLevel::warn, "etcd can't be used yet", {{"error", known.error().message}});
    co_await connections_.keep_looking();
  }

  Task<void> say_farewell() {
    Deadline soon{clock_.boot_now() + std::chrono::seconds(1)};
    co_await session_.end(soon);
    Deadline a_little_later{clock_.boot_now() + std::chrono::seconds(1)};
    co_await epoch_.leave(a_little_later);
    co_await loss_.say_farewell(a_little_later);
    loss_.stop();
    session_.stop();
    connections_.stop_looking();
    keepalive_.stop();
    watches_.stop();
  }

  Clock& clock_;
  EtcdWitness witness_;
  EtcdConnections connections_;
  EtcdClient client_;
  IoThreads threads_{1};
  TaskGroup background_;
  EtcdLoss loss_;
  EtcdReads etcd_reads_;
  EtcdEpoch epoch_;
  EtcdWrites etcd_writes_;
  EtcdBatchQueue<EtcdReads> reads_;
  EtcdBatchQueue<EtcdWrites> writes_;
  EtcdTokenBase token_base_;
  EtcdKeepalive keepalive_;
  EtcdWatches watches_;
  EtcdLeases leases_;
  EtcdLeasePool pool_;
  EtcdShortLeases short_leases_;
  EtcdSession session_;
  LeaseTurns turns_;
  PresenceHints hints_;  // of keys that were to be put with a lease of their own
};

}  // namespace

Result<std::unique_ptr<LeaseStore>> make_etcd_store(EtcdOptions options, Clock& clock, Log& log,
                                                    EtcdLossHandler when_lost) {
  auto endpoints = parse_etcd_endpoints(options.endpoints, options.tls.has_value());
  if (!endpoints) return endpoints.error();
  return std::make_unique<EtcdStore>(std::move(options), *std::move(endpoints), clock, log, std::move(when_lost));
}

}  // namespace sharedlock
