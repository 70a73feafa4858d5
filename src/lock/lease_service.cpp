#include "lock/lease_service.h"

#include <boost/asio/this_coro.hpp>
#include <utility>

#include "lock/token.h"

namespace sharedlock {

namespace {

constexpr std::string_view kPrefix = "/shared-lock/";

std::string store_key(std::string_view key) {
  std::string full;
  full.reserve(kPrefix.size() + key.size());
  full.append(kPrefix).append(key);
  return full;
}

Transaction put_if_absent(std::string key, std::string value, Ttl ttl, LeaseId id) {
  Transaction transaction;
  transaction.expect.emplace_back(key, kAbsent);
  transaction.changes.emplace_back(Put{std::move(key), std::move(value), OwnLease{ttl, id}});
  return transaction;
}

}  // namespace

LeaseService::LeaseService(LeaseServiceOptions options, LeaseStore& store, Clock& clock, Log& log)
    : options_(options),
      store_(store),
      clock_(clock),
      undone_(clock, log, "leases that nobody knows could not be ended; they end by themselves") {
  if (options_.cache_size == 0) return;
  cache_.emplace(options_.cache_size);
  cache_feed_ = cache_->follow(store_, std::string(kPrefix));
}

LeaseService::~LeaseService() = default;

Task<Result<LeaseService::Answer>> LeaseService::grant(GrantRequest request) {
  std::string key = store_key(request.key);
  if (auto holder = holder_by_cache(key)) co_return LeaseRefused{*holder};
  // Picked here, so that after an unknown outcome our own lease can be told from another's, and ended.
  LeaseId id = random_lease_id();
  Transaction transaction = put_if_absent(key, request.value, request.ttl, id);
  auto outcome = co_await store_.commit(std::move(transaction), deadline_for(request.received));
  if (!outcome && !outcome_unknown(outcome.error().code)) co_return outcome.error();

  Result<Answer> answer = LeaseRefused{};
  if (!outcome) {
    answer = co_await settle(request, id, outcome.error());
  } else if (auto* committed = std::get_if<Committed>(&*outcome)) {
    answer = LeaseGrant{committed->lease, committed->ttl, token_at(committed->revision, store_.token_base())};
  } else {
    auto& conflict = std::get<Conflict>(*outcome);
    LeaseId holder = conflict.current.front()->lease;
    if (cache_) cache_->fill(key, holder, conflict.as_of);
    co_return LeaseRefused{holder};
  }
  bool granted = answer && std::holds_alternative<LeaseGrant>(*answer);
  if (granted && (clock_.boot_now() - request.received) * 2 > request.ttl) {
    answer = Error{Errc::unavailable, "the grant took longer than half of its ttl"};
    granted = false;
  }
  if (!granted) {
    auto executor = co_await asio::this_coro::executor;
    end_in_background(executor, id, std::move(key), request.ttl);
  }
  co_return answer;
}

// After a commit with unknown outcome: one durable read tells whether the key is ours, another's, or still unknown.
Task<Result<LeaseService::Answer>> LeaseService::settle(GrantRequest request, LeaseId id, Error unknown) {
  Deadline deadline = deadline_for(request.received);
  auto found = co_await store_.get(store_key(request.key), deadline);
  if (!found || !found->entry) co_return unknown;
  if (found->entry->lease != id) co_return LeaseRefused{found->entry->lease};
  auto settled = co_await store_.settled(found->as_of, deadline);
  if (!settled) co_return unknown;
  co_return LeaseGrant{id, request.ttl, token_at(found->entry->created, store_.token_base())};
}

// Only ever for a lease whose id this server chose and told nobody. It is tried again for as long as that may live.
void LeaseService::end_in_background(Executor executor, LeaseId id, std::string key, Ttl ttl) {
  BootTime now = clock_.boot_now();
  undone_.add(
      executor, [this, id, key = std::move(key)] { return end_unknown_lease(id, key); }, now, saturating_add(now, ttl));
}

Task<bool> LeaseService::end_unknown_lease(LeaseId id, std::string key) {
  auto ended = co_await store_.revoke(id, "", deadline_for(clock_.boot_now()));
  if (cache_) cache_->drop(key);
  co_return ended || !outcome_unknown(ended.error().code);
}

std::optional<LeaseId> LeaseService::holder_by_cache(const std::string& key) {
  return cache_ ? cache_->find(key) : std::nullopt;
}

RefusalCacheCounts LeaseService::cache_counts() const {
  return cache_ ? cache_->counts() : RefusalCacheCounts();
}

Task<Result<Ttl>> LeaseService::keep_alive(LeaseId id, BootTime received) {
  if (id <= LeaseId{0}) co_return Error{Errc::lease_not_found, "no such lease"};
  co_return co_await store_.keep_alive(id, std::string(kPrefix), deadline_for(received));
}

Task<Result<void>> LeaseService::ready(std::chrono::milliseconds patience) {
  Deadline deadline{clock_.boot_now() + patience};
  auto found = co_await store_.get(std::string(kPrefix), deadline);
  if (!found) co_return found.error();
  co_return co_await store_.settled(found->as_of, deadline);
}

Deadline LeaseService::deadline_for(BootTime received) const {
  return {received + options_.request_timeout};
}

}  // namespace sharedlock
