#include "store/etcd/lease/leases.h"

#include <etcd.pb.h>

#include <algorithm>
#include <utility>

#include "store/etcd/lease/keepalive.h"
#include "store/etcd/lease/lease_looks.h"
#include "store/etcd/rpc/client.h"
#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/token_base.h"
#include "store/lease_ids.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

// etcd gives no lease less than one and a half election timeouts; this is that at its default election timeout.
constexpr Ttl kShortestTtl{2};

// A member that hung may carry out a grant late: etcd gives up on its own requests after seven seconds.
constexpr std::chrono::seconds kLateGrant{10};

// Time limit of one background try to end a lease.
constexpr std::chrono::nanoseconds kLongestTry = std::chrono::seconds(2);

// How often to retry a renewal that says the lease is gone, although it is there.
constexpr int kTries = 3;

Error no_such_lease() {
  return {Errc::lease_not_found, "no such lease"};
}

}  // namespace

EtcdLeases::EtcdLeases(EtcdClient& client, EtcdKeepalive& keepalive, EtcdWatches& watches, const EtcdOptions& options,
                       Term term, Clock& clock, Log& log, Executor executor)
    : client_(client),
      keepalive_(keepalive),
      options_(options),
      term_(std::move(term)),
      clock_(clock),
      executor_(executor),
      keys_(watches),
      undone_(clock, log, "leases that nobody knows could not be ended; they end by themselves") {}

void EtcdLeases::stop() {
  keys_.stop();
  undone_.stop();
}

Task<Result<EtcdLeases::Granted>> EtcdLeases::grant_own(OwnLease wanted, Deadline deadline) {
  LeaseId id = wanted.id.value_or(random_lease_id());
  if (is_shared_lease(id)) co_return Error{Errc::lease_in_use, "that id is of a lease of another kind"};
  bool unanswered = false;
  BootTime sent = clock_.boot_now();
  auto granted = co_await grant(id, wanted.ttl, deadline, &unanswered);
  bool exists = !granted && granted.error().code == Errc::lease_in_use;
  if (exists && unanswered && !wanted.client_chosen) {
    // By the attempt that had no answer; its ttl is at least what it asked for.
    safety_.renewed(id, sent, wanted.ttl);
    granted = Granted{id, wanted.ttl};
  } else if (exists) {
    granted = co_await take_over(wanted, id, deadline, &unanswered);
  }
  if (granted && wanted.client_chosen) granted->made_here = false;
  bool may_live_on = !granted && unanswered && granted.error().code != Errc::lease_in_use;
  if (may_live_on && !wanted.client_chosen) revoke_unanswered(id);
  co_return granted;
}

Task<Result<Ttl>> EtcdLeases::grant_pooled(LeaseId id, Ttl ttl, Deadline deadline) {
  bool unanswered = false;
  auto granted = co_await grant(id, ttl, deadline, &unanswered);
  if (granted) co_return granted->ttl;
  if (unanswered && granted.error().code != Errc::lease_in_use) revoke_unanswered(id);
  co_return granted.error();
}

// lease_in_use: there is such a lease; after an `unanswered` attempt, perhaps made by that attempt of this call.
Task<Result<EtcdLeases::Granted>> EtcdLeases::grant(LeaseId id, Ttl ttl, Deadline deadline, bool* unanswered) {
  pb::LeaseGrantRequest request;
  request.set_id(number_of(id));
  request.set_ttl(ttl.count());
  BootTime sent = clock_.boot_now();
  auto answer = co_await client_.grant(std::move(request), deadline);
  *unanswered = *unanswered || answer.unanswered;
  if (!answer.result) co_return answer.result.error();
  Granted granted{id, Ttl(answer.result->ttl())};
  if (!is_shared_lease(id)) safety_.renewed(id, sent, granted.ttl);
  co_return granted;
}

// A lease with the wanted id exists. If it has the right ttl it is just renewed, so that two servers which are given
// the same request at once both find it, and one of them the entry. Commits of one server that want the same id are
// serialized; there is no defence against two servers being given one id for different things.
Task<Result<EtcdLeases::Granted>> EtcdLeases::take_over(OwnLease wanted, LeaseId id, Deadline deadline,
                                                        bool* unanswered) {
  Ttl ttl = wanted.ttl;
  auto present = co_await info(id, deadline);
  if (!present) co_return present.error();
  if (*present && !(*present)->keys.empty()) co_return Error{Errc::lease_in_use, "an entry hangs on that lease"};
  Ttl granted = *present ? (*present)->granted : Ttl(0);
  // One that this very call may have made is not revoked: its revocation, too, could come late, and end the next lease
  // of that id. etcd may have given it more than was asked for.
  bool fits = granted == ttl || (granted > ttl && (granted <= kShortestTtl || *unanswered || wanted.client_chosen));
  if (fits) {
    auto renewed = co_await keepalive_.renew(id, deadline);
    if (!renewed) co_return renewed.error();
    if (renewed->ttl > Ttl(0)) {
      auto term = co_await term_(deadline);
      if (!term) co_return term.error();
      if (*term != renewed->term) co_return Error{Errc::unavailable, "etcd's leader has just changed"};
      safety_.renewed(id, renewed->sent, renewed->ttl);
      co_return Granted{id, renewed->ttl, /*made_here=*/false};
    }
  } else if (*present && wanted.client_chosen) {
    co_return Error{Errc::lease_in_use, "there is a lease of that id with a shorter ttl"};
  } else if (*present) {
    pb::LeaseRevokeRequest request;
    request.set_id(number_of(id));
    auto revoked = co_await client_.revoke(std::move(request), deadline);
    if (!revoked && revoked.error().code != Errc::lease_not_found) co_return revoked.error();
    safety_.ended(id);
  }
  co_return co_await grant(id, ttl, deadline, unanswered);
}

void EtcdLeases::revoke_unknown(LeaseId id) {
  revoke_in_background(id, clock_.boot_now());
}

// It may not be granted yet: so it is ended now, and again when a late grant is no longer possible.
void EtcdLeases::revoke_unanswered(LeaseId id) {
  revoke_in_background(id, clock_.boot_now());
  revoke_in_background(id, clock_.boot_now() + kLateGrant);
}

void EtcdLeases::revoke_in_background(LeaseId id, BootTime from) {
  safety_.ended(id);
  undone_.add(executor_, [this, id] { return try_to_revoke(id); }, from, BootTime::max());
}

Task<bool> EtcdLeases::try_to_revoke(LeaseId id) {
  pb::LeaseRevokeRequest request;
  request.set_id(number_of(id));
  Deadline deadline{clock_.boot_now() + std::min<std::chrono::nanoseconds>(options_.request_timeout, kLongestTry)};
  auto revoked = co_await client_.revoke(std::move(request), deadline);
  co_return revoked || !outcome_unknown(revoked.error().code);
}

// The watch's knowledge saves the look, once: if a renewal then says the lease is gone, etcd is asked.
Task<Result<Ttl>> EtcdLeases::keep_alive(LeaseId id, std::string under, Deadline deadline) {
  for (int tries = 0; tries < kTries; ++tries) {
    bool known = tries == 0 && !is_shared_lease(id) && keys_.hangs(id, under);
    if (!known) {
      auto found = co_await find_own(id, under, /*may_be_empty=*/false, deadline);
      if (!found) co_return lost_or_unavailable(id, found.error());
      keys_.follow(under);
    }
    // It lives; so a stream that denied it leads to a member that is cut off and believes that it still leads.
    if (tries > 0) keepalive_.distrust(id);
    auto renewed = co_await keepalive_.renew(id, deadline);
    if (!renewed) co_return lost_or_unavailable(id, renewed.error());
    if (renewed->ttl == Ttl(0)) continue;
    auto term = co_await term_(deadline);
    if (!term) co_return lost_or_unavailable(id, term.error());
    if (*term != renewed->term) continue;  // perhaps by a deposed leader
    bool may_have_ended = !safety_.surely_lives(id, clock_.boot_now());
    Result<void> lives;
    if (may_have_ended) lives = co_await find_after_renewal(id, under, deadline);
    if (!lives) co_return lost_or_unavailable(id, lives.error());
    safety_.renewed(id, renewed->sent, renewed->ttl);
    co_return renewed->ttl;
  }
  Error contradiction{Errc::unavailable, "members of etcd don't agree whether the lease lives"};
  co_return lost_or_unavailable(id, contradiction);
}

// etcd may renew a lease past its end though its revocation is on its way: a newly elected leader counts its ttl anew,
// and proposals of the previous one are yet to be carried out. A linearizable read comes after those.
Task<Result<void>> EtcdLeases::find_after_renewal(LeaseId id, std::string under, Deadline deadline) {
  auto present = co_await look(id, deadline);
  if (!present) co_return present.error();
  if (!*present) co_return no_such_lease();
  const auto& keys = (*present)->keys;
  auto key = std::ranges::find_if(keys, [&](const auto& each) { return each.starts_with(under); });
  if (key == keys.end()) co_return no_such_lease();
  auto found = co_await client_.range(range_of_key(*key), deadline);
  if (!found) co_return found.error();
  bool hangs = found->kvs_size() == 1 && found->kvs(0).lease() == number_of(id);
  if (!hangs) co_return no_such_lease();
  co_return Result<void>();
}

// R8: a lease that can no longer be promised to live counts as lost.
Error EtcdLeases::lost_or_unavailable(LeaseId id, const Error& error) {
  if (outcome_unknown(error.code) && safety_.surely_lives(id, clock_.boot_now())) return error;
  if (!outcome_unknown(error.code)) safety_.ended(id);
  return {Errc::lease_not_found, error.message};
}

Task<Result<void>> EtcdLeases::revoke(LeaseId id, std::string under, Deadline deadline) {
  bool may_be_empty = under.empty();
  auto found = co_await find_own(id, std::move(under), may_be_empty, deadline);
  if (!found) co_return found.error();
  pb::LeaseRevokeRequest request;
  request.set_id(number_of(id));
  keys_.forget(id);
  auto revoked = co_await client_.revoke(std::move(request), deadline);
  if (revoked) safety_.ended(id);
  co_return revoked;
}

// Whether there is a lease which keep_alive() and revoke() may touch.
Task<Result<void>> EtcdLeases::find_own(LeaseId id, std::string under, bool may_be_empty, Deadline deadline) {
  if (is_shared_lease(id)) co_return no_such_lease();
  auto present = co_await info(id, deadline);
  if (!present) co_return present.error();
  if (!*present) co_return no_such_lease();
  auto is_under = [&](const std::string& key) { return key.starts_with(under); };
  const auto& keys = (*present)->keys;
  bool fits = (may_be_empty && keys.empty()) || std::ranges::any_of(keys, is_under);
  if (!fits) co_return no_such_lease();
  co_return Result<void>();
}

// etcd answers for leases from what its leader has applied so far, and a newly elected leader may be behind what its
// predecessor acknowledged. So a lease that seems gone, or empty, is looked for again after a linearizable read, which
// waits until a leader has caught up.
Task<Result<std::optional<LeaseInfo>>> EtcdLeases::info(LeaseId id, Deadline deadline) {
  auto first = co_await look(id, deadline);
  if (!first || (*first && !(*first)->keys.empty())) co_return first;
  auto caught_up = co_await catch_up(deadline);
  if (!caught_up) co_return caught_up.error();
  co_return co_await look(id, deadline);
}

// Returns etcd's raft term.
Task<Result<std::uint64_t>> EtcdLeases::catch_up(Deadline deadline) {
  pb::RangeRequest request;
  request.set_key(kTokenBaseKey);
  request.set_count_only(true);
  auto caught_up = co_await client_.range(std::move(request), deadline);
  if (!caught_up) co_return caught_up.error();
  co_return std::uint64_t(caught_up->header().raft_term());
}

// The read that follows is answered by a quorum.
Task<Result<std::optional<LeaseLife>>> EtcdLeases::life(LeaseId id, Deadline deadline) {
  for (int tries = 0; tries < kTries; ++tries) {
    auto look = co_await look_at_lease(client_, id, deadline);
    if (look.failed) co_return *look.failed;
    auto term = co_await catch_up(deadline);
    if (!term) co_return term.error();
    if (look.counts_in(*term)) co_return look.life;
  }
  co_return Error{Errc::unavailable, "members of etcd don't agree how long a lease lives"};
}

Task<Result<std::optional<LeaseInfo>>> EtcdLeases::look(LeaseId id, Deadline deadline) {
  pb::LeaseTimeToLiveRequest request;
  request.set_id(number_of(id));
  request.set_keys(true);
  auto told = co_await client_.time_to_live(std::move(request), deadline);
  auto& answer = told.result;
  if (!answer && answer.error().code == Errc::lease_not_found) co_return std::optional<LeaseInfo>();
  if (!answer) co_return answer.error();
  if (answer->grantedttl() == 0) co_return std::optional<LeaseInfo>();
  LeaseInfo info{.granted = Ttl(answer->grantedttl()),
                 .left = Ttl(std::max<std::int64_t>(answer->ttl(), 0)),
                 .keys = {answer->keys().begin(), answer->keys().end()}};
  std::ranges::sort(info.keys);
  co_return std::optional(std::move(info));
}

}  // namespace sharedlock
