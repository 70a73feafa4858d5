#include "store/etcd/etcd_store.h"

#include <etcd.pb.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/io_threads.h"
#include "store/etcd/lease/keepalive.h"
#include "store/etcd/lease/lease_pool.h"
#include "store/etcd/lease/leases.h"
#include "store/etcd/lease/own_leases.h"
#include "store/etcd/lease/session.h"
#include "store/etcd/lease/short_leases.h"
#include "store/etcd/rpc/client.h"
#include "store/etcd/rpc/connections_grpc.h"
#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/token_base.h"
#include "store/etcd/watches.h"
#include "store/etcd/witness/loss_grpc.h"
#include "store/etcd/witness/witness.h"
#include "store/etcd/write/batch_queue.h"
#include "store/etcd/write/batches_grpc.h"
#include "store/etcd/write/commits.h"
#include "store/etcd/write/write_fate.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

constexpr EtcdBatchLimits kBatches{.batches = 4, .enough = 32};

class EtcdStore final : public LeaseStore {
 public:
  EtcdStore(EtcdOptions options, std::vector<EtcdEndpoint> endpoints, Clock& clock, Log& log, EtcdLossHandler when_lost)
      : clock_(clock),
        witness_(options.key_prefix, options.largest_ttl),
        connections_(std::move(options), std::move(endpoints), clock, log),
        client_(connections_, witness_),
        token_base_(client_, connections_.options().token_base),
        keepalive_(connections_, executor(), background_),
        watches_(connections_, client_, executor(), background_),
        loss_(connections_, client_, witness_, token_base_, watches_, std::move(when_lost), executor()),
        etcd_reads_(client_, witness_, loss_),
        reads_(etcd_reads_, kBatches, clock, executor(), background_),
        leases_(
            client_, keepalive_, watches_, connections_.options(),
            [this](Deadline deadline) { return term_now(deadline); }, clock, log, executor()),
        pool_(leases_, clock, executor()),
        epoch_(client_, witness_, loss_, token_base_, pool_, clock, log, executor()),
        etcd_writes_(client_, witness_, loss_, epoch_, clock, executor(), background_),
        writes_(etcd_writes_, kBatches, clock, executor(), background_),
        short_leases_([this](BootTime moment) { pool_.drop_sent_before(moment); },
                      [this](Transaction what, Deadline deadline) { return commit(std::move(what), deadline); }, clock,
                      log, executor()),
        session_(client_, keepalive_, watches_, clock, executor(), background_),
        commits_(reads_, writes_, leases_, pool_, short_leases_, session_, clock, connections_.options().max_retries),
        own_leases_(below_own_leases(), connections_.options().shared_leases, clock, log, executor()) {
    background_.spawn(executor(), handshake());
  }

  ~EtcdStore() override {
    own_leases_.stop();
    leases_.stop();
    short_leases_.stop();
    epoch_.stop();
    background_.spawn(executor(), shut_down());
    // Callers first: these two commit, their batches run in the background, and batches end epochs.
    own_leases_.join();
    short_leases_.join();
    background_.join();
    epoch_.join();
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

  Task<Result<Outcome>> commit(Transaction transaction, Deadline deadline) override {
    BootTime called = clock_.boot_now();
    if (auto sound = check(transaction); !sound) co_return sound.error();
    if (auto refused = witness_.refusal()) co_return with_fate(*std::move(refused), WriteFate::not_sent);
    auto ready = co_await token_base_.known(deadline);
    if (!ready) co_return with_fate(ready.error(), WriteFate::not_sent);
    bool own = std::ranges::any_of(transaction.changes, [](const auto& change) { return own_lease_of(change); });
    if (own) co_return co_await own_leases_.commit(std::move(transaction), called, deadline);
    co_return co_await commit_promised(std::move(transaction), called, EtcdCommitWay(), deadline);
  }

  Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline deadline) override {
    if (auto refused = witness_.refusal()) co_return own_leases_.lost_or_unavailable(id, *refused);
    auto renewed = co_await own_leases_.keep_alive(id, std::move(under), deadline);
    if (auto refused = witness_.refusal()) co_return own_leases_.lost_or_unavailable(id, *refused);
    co_return renewed;
  }

  Task<Result<void>> revoke(LeaseId id, std::string under, Deadline deadline) override {
    if (auto refused = witness_.refusal()) co_return *std::move(refused);
    auto revoked = co_await own_leases_.revoke(id, std::move(under), deadline);
    if (auto refused = witness_.refusal()) co_return *std::move(refused);
    co_return revoked;
  }

  Task<Result<std::optional<LeaseInfo>>> lease(LeaseId id, Deadline deadline) override {
    auto found = co_await own_leases_.info(id, deadline);
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
  Executor executor() { return threads_.executor(0); }

  // Every committed, or possibly committed, change counts as promised before any caller hears of it: if etcd forgets it
  // at this moment, it is shielded, or not reported.
  Task<Result<Outcome>> commit_promised(Transaction transaction, BootTime called, EtcdCommitWay way,
                                        Deadline deadline) {
    if (auto refused = witness_.refusal()) co_return with_fate(*std::move(refused), WriteFate::not_sent);
    auto promised_until = promise_of(transaction).until(called);
    auto outcome = co_await commits_.commit(std::move(transaction), called, std::move(way), deadline);
    auto* committed = outcome ? std::get_if<Committed>(&*outcome) : nullptr;
    bool promised = outcome ? committed != nullptr : outcome_unknown(outcome.error().code);
    if (!promised || !promised_until) co_return outcome;
    witness_.promised(*promised_until);
    if (committed) witness_.promised(saturating_add(called, committed->ttl));
    if (auto refused = witness_.refusal()) co_return *std::move(refused);
    co_return outcome;
  }

  Task<Result<std::vector<std::optional<Entry>>>> look_at(std::vector<std::string> keys, Deadline deadline) {
    auto ready = co_await token_base_.known(deadline);
    if (!ready) co_return ready.error();
    EtcdReads::Item read;
    for (std::string& key : keys) read.ranges.push_back(range_of_key(std::move(key)));
    auto found = co_await reads_.submit(std::move(read), deadline);
    if (!found) co_return found.error();
    std::vector<std::optional<Entry>> entries;
    for (pb::RangeResponse& range : found->ranges) entries.push_back(to_entry(range));
    co_return entries;
  }

  // etcd's answers about leases are not compared with the witness; so one counts only if the witness does not refuse
  // afterwards.
  Task<Result<Ttl>> keep_native_alive(LeaseId id, std::string under, Deadline deadline) {
    BootTime called = clock_.boot_now();
    if (auto refused = witness_.refusal()) co_return leases_.lost_or_unavailable(id, *refused);
    auto renewed = co_await leases_.keep_alive(id, std::move(under), deadline);
    if (renewed) witness_.promised_beside(called, *renewed + Ttl{1});
    if (auto refused = witness_.refusal()) co_return leases_.lost_or_unavailable(id, *refused);
    co_return renewed;
  }

  // An answer that carries etcd's raft term counts only if a quorum of that term answers afterwards. Concurrent calls
  // share one read, which begins after all of them.
  Task<Result<std::uint64_t>> term_now(Deadline deadline) {
    EtcdReads::Item read;
    read.ranges.push_back(range_of_key(kTokenBaseKey));
    auto found = co_await reads_.submit(std::move(read), deadline);
    if (!found) co_return found.error();
    co_return found->term;
  }

  EtcdOwnLeases::Below below_own_leases() {
    EtcdOwnLeases::Below below;
    below.commit = [this](Transaction what, BootTime called, EtcdCommitWay way, Deadline deadline) {
      return commit_promised(std::move(what), called, std::move(way), deadline);
    };
    below.look = [this](auto keys, Deadline deadline) { return look_at(std::move(keys), deadline); };
    below.epochs_ended = [this] { return epoch_.all_ended(); };
    below.lacks_space = [this] { return client_.lacks_space(); };
    below.lacked_space_since = [this](BootTime then) { return client_.lacked_space_since(then); };
    below.knows_native = [this](LeaseId id, const std::string& under) { return leases_.knows(id, under); };
    below.keep_native_alive = [this](LeaseId id, std::string under, Deadline deadline) {
      return keep_native_alive(id, std::move(under), deadline);
    };
    below.revoke_native = [this](LeaseId id, std::string under, Deadline deadline) {
      return leases_.revoke(id, std::move(under), deadline);
    };
    below.native_info = [this](LeaseId id, Deadline deadline) { return leases_.info(id, deadline); };
    below.native_life = [this](LeaseId id, Deadline deadline) { return leases_.life(id, deadline); };
    below.lost_or_unavailable = [this](LeaseId id, const Error& error) {
      return leases_.lost_or_unavailable(id, error);
    };
    return below;
  }

  // One try at the beginning, so that the log says early what is wrong with this etcd; then looks periodically.
  Task<void> handshake() {
    background_.spawn(executor(), loss_.attend());
    Deadline soon{clock_.boot_now() + connections_.options().request_timeout};
    auto known = co_await token_base_.known(soon);
    if (known) co_await epoch_.current(soon);  // so that the first request need not wait for it
    if (!known) connections_.log().write(LogLevel::warn, "etcd can't be used yet", {{"error", known.error().message}});
    co_await connections_.keep_looking();
  }

  Task<void> shut_down() {
    Deadline soon{clock_.boot_now() + std::chrono::seconds(1)};
    co_await session_.end(soon);
    Deadline a_little_later{clock_.boot_now() + std::chrono::seconds(1)};
    co_await epoch_.leave(a_little_later);
    co_await loss_.shut_down(a_little_later);
    loss_.stop();
    session_.stop();
    connections_.stop_looking();
    keepalive_.stop();
    watches_.stop();
  }

  // Each needs only those before it. A call to a later one goes through a function passed in.
  Clock& clock_;
  EtcdWitness witness_;
  EtcdConnections connections_;
  EtcdClient client_;
  IoThreads threads_{1};
  TaskGroup background_;
  EtcdTokenBase token_base_;
  EtcdKeepalive keepalive_;
  EtcdWatches watches_;
  EtcdLoss loss_;
  EtcdReads etcd_reads_;
  EtcdBatchQueue<EtcdReads> reads_;
  EtcdLeases leases_;
  EtcdLeasePool pool_;
  EtcdEpoch epoch_;
  EtcdWrites etcd_writes_;
  EtcdBatchQueue<EtcdWrites> writes_;
  EtcdShortLeases short_leases_;
  EtcdSession session_;
  EtcdCommits commits_;
  EtcdOwnLeases own_leases_;
};

}  // namespace

Result<std::unique_ptr<LeaseStore>> make_etcd_store(EtcdOptions options, Clock& clock, Log& log,
                                                    EtcdLossHandler when_lost) {
  auto endpoints = parse_etcd_endpoints(options.endpoints, options.tls.has_value());
  if (!endpoints) return endpoints.error();
  return std::make_unique<EtcdStore>(std::move(options), *std::move(endpoints), clock, log, std::move(when_lost));
}

}  // namespace sharedlock
