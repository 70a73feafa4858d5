// Grants of LeaseService under ids chosen by clients: a repeat finds what the first try made.
#include <optional>
#include <utility>

#include "lease/lease_service.h"
#include "store/grants.h"

namespace sharedlock {

namespace {

// A repeat may find that its lease ends at this moment, or that another server grants it.
constexpr int kTries = 3;

Error in_use() {
  return {Errc::lease_in_use, "the lease id is in use"};
}

}  // namespace

Task<Result<LeaseService::Answer>> LeaseService::grant_chosen(const GrantRequest& request) {
  LeaseId id = *request.id;
  std::string key = store_key(request.key);
  std::string queue = part_of(request.key).queue;
  std::optional<Error> may_take_it_later;  // a try that had no answer, once the key is free
  for (int tries = 0; tries < kTries; ++tries) {
    auto repeated = co_await repeat(request, request.received);
    if (!repeated) co_return repeated.error();
    if (*repeated) co_return **std::move(repeated);

    Transaction transaction;
    transaction.expect.push_back({key, kAbsent});
    transaction.none_under.push_back(queue);
    OwnLease lease{.ttl = request.ttl, .id = id, .client_chosen = true};
    transaction.changes.emplace_back(Put{key, request.value, lease});
    auto outcome = co_await store_.commit(std::move(transaction), deadline_for(request.received));
    // Where it may have happened, or another server does the same, the next look tells.
    bool look_again = !outcome && (outcome_unknown(outcome.error().code) || outcome.error().code == Errc::lease_in_use);
    if (!outcome && (!look_again || tries + 1 == kTries)) co_return outcome.error();
    if (!outcome && may_happen_yet(outcome.error().code)) may_take_it_later = outcome.error();
    if (!outcome) continue;
    if (auto* committed = std::get_if<Committed>(&*outcome)) {
      // A late grant is left as it is: the client repeats its request, and that renews the lease.
      if (too_late(request.received, clock_.boot_now(), request.ttl)) {
        co_return late_grant("ttl");
      }
      FencingToken token = token_at(committed->created(), store_.token_base());
      Answer granted = LeaseGrant{committed->lease, committed->ttl, token, committed->revision};
      co_return granted;
    }
    auto& conflict = std::get<Conflict>(*outcome);
    const auto& holder = conflict.current.front();
    if (holder && shown_lease(*holder) == id) continue;
    Answer refused = holder ? refused_by(*holder, request, conflict.as_of) : LeaseRefused();
    if (may_take_it_later) co_return *may_take_it_later;
    co_return refused;
  }
  co_return Error{Errc::unavailable, "the lease changed while this request looked at it"};
}

// Renews that lease where the key hangs on it (R1). Nothing: there is no such lease, or it has no key.
Task<Result<std::optional<LeaseService::Answer>>> LeaseService::repeat(const GrantRequest& request, BootTime begun) {
  Deadline deadline = deadline_for(begun);
  std::string key = store_key(request.key);
  auto info = co_await store_.lease(*request.id, deadline);
  if (!info) co_return info.error();
  if (!*info || (*info)->keys.empty()) co_return std::optional<Answer>();
  if ((*info)->keys != std::vector<std::string>{key}) co_return in_use();
  const auto& entry = (*info)->only_entry;
  if (!entry) co_return std::optional<Answer>();
  if (entry->value != request.value) co_return in_use();
  auto renewed = co_await store_.keep_alive(*request.id, std::string(kPrefix), deadline);
  bool gone = !renewed && renewed.error().code == Errc::lease_not_found;
  if (gone) co_return std::optional<Answer>();
  if (!renewed) co_return renewed.error();
  FencingToken token = token_at(entry->created, store_.token_base());
  Answer again = LeaseGrant{*request.id, *renewed, token, entry->revision};
  co_return std::optional(again);
}

}  // namespace sharedlock
