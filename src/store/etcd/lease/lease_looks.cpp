#include "store/etcd/lease/lease_looks.h"

#include <etcd.pb.h>

#include <algorithm>
#include <utility>

#include "store/etcd/rpc/client.h"

namespace sharedlock {

namespace {

// How often to ask again after an answer that does not count.
constexpr int kMoreLooks = 3;

}  // namespace

// Without keys: else etcd would check our permission to read each of them.
Task<EtcdLeaseLook> look_at_lease(EtcdClient& client, LeaseId id, Deadline deadline) {
  EtcdLeaseLook look{.id = id};
  etcdserverpb::LeaseTimeToLiveRequest request;
  request.set_id(number_of(id));
  Clock& clock = client.clock();
  BootTime sent = clock.boot_now();
  auto answer = co_await client.time_to_live(std::move(request), deadline);
  BootTime answered = clock.boot_now();
  if (!answer.result) {
    look.failed = answer.result.error();
    co_return look;
  }
  if (answer.in_one_term) look.term = answer.result->header().raft_term();
  std::int64_t granted = answer.result->grantedttl();
  if (granted <= 0) co_return look;
  // Rounded down; negative once it has expired.
  Ttl left(std::clamp<std::int64_t>(answer.result->ttl(), 0, granted));
  look.life = LeaseLife{saturating_add(sent, left), saturating_add(answered, left + Ttl{1})};
  co_return look;
}

EtcdLeaseLooks::EtcdLeaseLooks(std::vector<LeaseId> ids, Ask ask, Clock& clock) : ask_(std::move(ask)), clock_(clock) {
  for (LeaseId id : ids) leases_.try_emplace(id, clock);
}

void EtcdLeaseLooks::begin(const std::shared_ptr<EtcdLeaseLooks>& looks, Executor executor, TaskGroup& background,
                           Deadline deadline) {
  for (const auto& [id, lease] : looks->leases_) background.spawn(executor, ask_first(looks, id, deadline));
}

Task<void> EtcdLeaseLooks::ask_first(std::shared_ptr<EtcdLeaseLooks> looks, LeaseId id, Deadline deadline) {
  auto work = [&looks, id, deadline] { return looks->ask(id, std::nullopt, deadline); };
  co_await looks->leases_.at(id).asking.join(work, deadline);
}

Task<Result<EtcdLeaseLook>> EtcdLeaseLooks::ask(LeaseId id, std::optional<std::uint64_t> quorums_term,
                                                Deadline deadline) {
  auto told = last(id);
  if (told && told->counts_in(quorums_term.value_or(told->term))) co_return *std::move(told);
  auto look = co_await ask_(id, deadline);
  std::scoped_lock lock(mutex_);
  leases_.at(id).last = look;
  co_return look;
}

std::optional<EtcdLeaseLook> EtcdLeaseLooks::last(LeaseId id) const {
  std::scoped_lock lock(mutex_);
  return leases_.at(id).last;
}

Task<std::vector<std::optional<BootTime>>> EtcdLeaseLooks::ends(std::vector<LeaseId> ids, std::uint64_t quorums_term,
                                                                Deadline deadline) {
  std::vector<std::optional<BootTime>> ends;
  ends.reserve(ids.size());
  for (LeaseId id : ids) {
    auto end = co_await end_of(id, quorums_term, deadline);
    ends.push_back(end);
  }
  co_return ends;
}

Task<std::optional<BootTime>> EtcdLeaseLooks::end_of(LeaseId id, std::uint64_t quorums_term, Deadline deadline) {
  auto work = [this, id, quorums_term, deadline] { return ask(id, quorums_term, deadline); };
  for (int tries = 0; tries <= 1 + kMoreLooks; ++tries) {
    auto told = last(id);
    if (told && told->counts_in(quorums_term)) {
      co_return told->life ? told->life->surely_until : BootTime();
    }
    if (clock_.boot_now() >= deadline.at) co_return std::nullopt;
    co_await leases_.at(id).asking.join(work, deadline);
  }
  co_return std::nullopt;
}

}  // namespace sharedlock
