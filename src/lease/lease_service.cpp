#include "lease/lease_service.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "base/sha256.h"
#include "store/grants.h"

namespace sharedlock {

namespace {

// The id of a lease is its identity, both in the queue and as a holder, where the entry shows it.
LockSight see(const Entry& entry) {
  auto id = shown_lease(entry);
  if (!id) return {};
  return {.holder = identity_of("", std::to_string(number_of(*id))), .look_again = std::nullopt};
}

Error no_such_lease() {
  return {Errc::lease_not_found, "no such lease"};
}

constexpr int kLooksAgain = 4;  // tries of get() and force_release() while the holder renews the lease

}  // namespace

std::string LeaseService::store_key(std::string_view key) {
  std::string full;
  full.reserve(kPrefix.size() + key.size());
  full.append(kPrefix).append(key);
  return full;
}

QueuePart LeaseService::part_of(const std::string& key) {
  return {.lock = store_key(key), .queue = queue_of(key)};
}

std::string LeaseService::queue_of(std::string_view key) {
  std::string queue;
  queue.reserve(kQueues.size() + 65);
  queue.append(kQueues).append(sha256_hex(key)).append(1, '/');
  return queue;
}

LeaseService::LeaseService(LeaseServiceOptions options, LeaseStore& store, Clock& clock, Log& log)
    : options_(options),
      store_(store),
      clock_(clock),
      queues_({.followed = {std::string(kPrefix), std::string(kQueues)},
               .part_of = part_of,
               .see_lock = see,
               .request_timeout = options.request_timeout},
              store, clock, log),
      undone_(clock, log, "leases that nobody knows could not be ended; they end by themselves") {
  if (options_.cache_size == 0) return;
  cache_.emplace(options_.cache_size);
  cache_feed_ = cache_->follow(store_, std::string(kPrefix));
}

LeaseService::~LeaseService() = default;

Task<Result<LeaseService::Answer>> LeaseService::grant(const GrantRequest& request) {
  return waits(request) ? grant_in_queue(request) : try_to_grant(request);
}

Task<Result<LeaseService::Answer>> LeaseService::try_to_grant(const GrantRequest& request) {
  return request.id ? grant_chosen(request) : grant_new(request);
}

// One commit and, where it has no answer, one look. Or a look that refuses the request, which costs less; not for one
// that waits, since its commit to join the queue follows anyway.
Task<Result<LeaseService::Answer>> LeaseService::grant_new(const GrantRequest& request) {
  std::string key = store_key(request.key);
  auto holder = holder_by_cache(key);
  bool is_shown = holder && *holder != kNotShown;
  if (holder && !waits(request)) co_return LeaseRefused{is_shown ? holder : std::nullopt};
  Deadline deadline = deadline_for(request.received);
  if (!waits(request) && looks_first(key)) {
    auto found = co_await store_.get(std::move(key), deadline);
    if (!found) co_return found.error();
    if (found->entry) co_return refused_by(*found->entry, request, found->as_of);
    key = store_key(request.key);
    hints_.absent(key);
  }
  // Picked here, so that after an unknown outcome our own lease can be told from another's, and ended.
  LeaseId id = random_lease_id();
  auto outcome = co_await store_.commit(put_if_absent(std::move(key), request, id), deadline);
  if (!outcome && !outcome_unknown(outcome.error().code)) co_return outcome.error();
  bool by_queue_alone = false;
  Result<Answer> answer = LeaseRefused{};
  if (!outcome) {
    answer = co_await resolve(request, id, outcome.error());
  } else if (auto* committed = std::get_if<Committed>(&*outcome)) {
    FencingToken token = token_at(committed->created(), store_.token_base());
    answer = LeaseGrant{committed->lease, committed->ttl, token, committed->revision};
  } else {
    auto& conflict = std::get<Conflict>(*outcome);
    const auto& found = conflict.current.front();
    if (found) answer = refused_by(*found, request, conflict.as_of);
    if (found) hints_.present(store_key(request.key));
    by_queue_alone = !found && !waits(request);
  }
  bool granted = answer && std::holds_alternative<LeaseGrant>(*answer);
  bool late = granted && too_late(request.received, clock_.boot_now(), request.ttl);
  bool unresolved = !outcome && !granted;
  if (late || unresolved || by_queue_alone) {
    auto executor = co_await asio::this_coro::executor;
    if (by_queue_alone) queues_.refused_by_queue(executor, request.key);
    if (!by_queue_alone) end_in_background(executor, id, store_key(request.key), request.ttl);
  }
  if (late) co_return late_grant("ttl");
  co_return answer;
}

// A store of many servers looks by itself where a key was taken, and at the queue too: another look would only make a
// grant there wait for one more round trip.
bool LeaseService::looks_first(const std::string& key) const {
  return !store_.is_shared() && hints_.is_present(key);
}

LeaseRefused LeaseService::refused_by(const Entry& holder, const GrantRequest& request, Revision as_of) {
  auto shown = shown_lease(holder);
  if (cache_) cache_->fill(store_key(request.key), shown.value_or(kNotShown), as_of);
  return {shown};
}

Transaction LeaseService::put_if_absent(std::string key, const GrantRequest& request, LeaseId id) const {
  Transaction transaction;
  transaction.expect.emplace_back(key, kAbsent);
  OwnLease lease{.ttl = request.ttl, .id = id};
  transaction.changes.emplace_back(Put{std::move(key), request.value, lease});
  if (queues_.may_have_entries()) transaction.none_under.push_back(queue_of(request.key));
  return transaction;
}

// After a commit with unknown outcome: a look tells whether the key is ours, another's, or still unknown. Our lease may
// have less time left than was asked for, so it is renewed before it is answered.
Task<Result<LeaseService::Answer>> LeaseService::resolve(const GrantRequest& request, LeaseId id, Error unknown) {
  Deadline deadline = deadline_for(request.received);
  std::string key = store_key(request.key);
  auto found = co_await look_durably(store_, key, deadline);
  if (!found || !found->entry) co_return unknown;
  auto info = co_await store_.lease(id, deadline);
  if (!info) co_return unknown;
  bool is_ours = *info && (*info)->only_entry && (*info)->keys.front() == key;
  if (!is_ours) co_return LeaseRefused{shown_lease(*found->entry)};
  auto renewed = co_await store_.keep_alive(id, std::string(kPrefix), deadline);
  if (!renewed) co_return unknown;
  const Entry& ours = *(*info)->only_entry;
  Answer granted = LeaseGrant{id, *renewed, token_at(ours.created, store_.token_base()), ours.revision};
  co_return granted;
}

void LeaseService::take_back(Executor executor, const std::string& key, const LeaseGrant& grant) {
  BootTime now = clock_.boot_now();
  auto undo = [this, stored = store_key(key), revision = grant.revision] { return this->undo(stored, revision); };
  undone_.add(executor, std::move(undo), now, saturating_add(now, grant.ttl));
}

// Unless it has changed since. The lease ends by itself.
Task<bool> LeaseService::undo(std::string key, Revision grant) {
  auto outcome = co_await erase_at(store_, key, grant, deadline_for(clock_.boot_now()));
  if (cache_) cache_->drop(key);
  co_return outcome.has_value();
}

// Only for a lease with an id that this server chose and told no client. Tried for as long as the lease may live.
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
  if (id <= LeaseId{0}) return ready_task<Result<Ttl>>(no_such_lease());
  return store_.keep_alive(id, std::string(kPrefix), deadline_for(received));
}

Task<Result<void>> LeaseService::release(LeaseId id, BootTime received) {
  if (id <= LeaseId{0}) return ready_task<Result<void>>(no_such_lease());
  Deadline deadline = deadline_for(received);
  return cache_ ? release_cached(id, deadline) : store_.revoke(id, std::string(kPrefix), deadline);
}

// The keys that it frees leave the cache at once.
Task<Result<void>> LeaseService::release_cached(LeaseId id, Deadline deadline) {
  std::vector<std::string> keys;
  auto info = co_await store_.lease(id, deadline);
  if (info && *info) keys = std::move((*info)->keys);
  auto released = co_await store_.revoke(id, std::string(kPrefix), deadline);
  for (const std::string& key : keys) cache_->drop(key);
  co_return released;
}

Task<Result<std::optional<HeldLease>>> LeaseService::get(std::string key, BootTime received) {
  Deadline deadline = deadline_for(received);
  for (int tries = 0; tries < kLooksAgain; ++tries) {
    auto found = co_await look_durably(store_, store_key(key), deadline);
    if (!found) co_return found.error();
    auto& entry = found->entry;
    if (!entry) co_return std::optional<HeldLease>();
    HeldLease held{
        .value = std::move(entry->value), .left = std::nullopt, .token = token_at(entry->created, store_.token_base())};
    if (entry->lease == LeaseId{0}) co_return std::optional(std::move(held));
    auto life = co_await store_.lease_life(entry->lease, deadline);
    if (!life) co_return life.error();
    // The lease ended between the two looks; the entry may have been renewed before that, and hang on another one.
    if (!*life) continue;
    auto left = std::chrono::floor<Ttl>((*life)->at_most_until - clock_.boot_now());
    held.left = std::max(left, Ttl{0});
    co_return std::optional(std::move(held));
  }
  co_return Error{Errc::unavailable, "the lease changed while this request looked at it"};
}

// Tried again where the holder has only renewed it meanwhile.
Task<Result<std::optional<HeldLease>>> LeaseService::force_release(std::string key, BootTime received) {
  std::string stored = store_key(key);
  Deadline deadline = deadline_for(received);
  auto found = co_await look_durably(store_, stored, deadline);
  if (!found) co_return found.error();
  auto& entry = found->entry;
  if (!entry) co_return std::optional<HeldLease>();
  for (int tries = 0; tries < kLooksAgain; ++tries) {
    auto outcome = co_await erase_at(store_, stored, entry->revision, deadline);
    if (cache_) cache_->drop(stored);
    if (!outcome) co_return outcome.error();
    if (std::holds_alternative<Committed>(*outcome)) {
      HeldLease gone{.value = std::move(entry->value),
                     .left = std::nullopt,
                     .token = token_at(entry->created, store_.token_base())};
      co_return std::optional(std::move(gone));
    }
    auto& now = std::get<Conflict>(*outcome).current.front();
    if (!now || now->created != entry->created) break;
    entry = std::move(now);
  }
  co_return Error{Errc::unavailable, "the lease changed while this request released it"};
}

Task<Result<void>> LeaseService::ready(std::chrono::milliseconds patience) {
  Deadline deadline{clock_.boot_now() + patience};
  auto found = co_await store_.get(std::string(kPrefix), deadline);
  if (!found) co_return found.error();
  co_return co_await store_.settled(found->as_of, deadline);
}

}  // namespace sharedlock
