#include "lock/lock_service.h"

#include <boost/asio/this_coro.hpp>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "store/fencing_token.h"
#include "store/grants.h"

namespace sharedlock {

namespace {

constexpr std::string_view kLines = ".queue/";

// With one allocation.
std::string join(std::initializer_list<std::string_view> pieces) {
  std::size_t size = 0;
  for (std::string_view piece : pieces) size += piece.size();
  std::string text;
  text.reserve(size);
  for (std::string_view piece : pieces) text += piece;
  return text;
}

}  // namespace

LockService::LockService(LockServiceOptions options, LeaseStore& store, Clock& clock, Log& log)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      records_(store, clock, log),
      written_(store),
      sets_(options_.max_retries, options_.request_timeout, store, clock, records_, written_),
      queues_({.followed = {options_.key_prefix},
               .part_of = [this](const std::string& name) { return part_of(name); },
               .see_lock = [this](const Entry& entry) { return see(entry); },
               .request_timeout = options_.request_timeout},
              store, clock, log),
      undone_(clock, log, "grants that nobody learned of could not be taken back; they end by themselves") {}

LockService::~LockService() = default;

Task<Result<LockAnswer>> LockService::acquire(const AcquireRequest& request) {
  return waits(request) ? acquire_in_queue(request) : try_to_acquire(request);
}

Task<Result<LockAnswer>> LockService::try_to_acquire(const AcquireRequest& request) {
  Attempt attempt(key_of(request.lock), deadline_for(request.received),
                  [&request](const auto& current, Instant now) { return decide_acquire(request, current, now); });
  bool waited_for = queues_.in_use() && queues_.is_occupied(name_of(request.lock));
  if (!waited_for && !hints_.is_present(attempt.key)) attempt.first = First::guess;
  attempt.in_order = queues_.may_have_entries();
  auto ended = co_await decide_and_commit(attempt);
  if (!ended) co_return ended.error();
  hints_.present(attempt.key);

  Decided& outcome = attempt.outcome;
  bool granted = is_write(outcome.decision);
  auto executor = co_await asio::this_coro::executor;
  if (granted && too_late(request.received, clock_.boot_now(), request.duration)) {
    take_back(executor, std::get<LockGrant>(to_answer(std::move(outcome))));
    co_return late_grant("duration");
  }
  bool by_queue_alone = !granted && !outcome.seen;
  if (by_queue_alone && !waits(request)) queues_.refused_by_queue(executor, name_of(request.lock));
  co_return to_answer(std::move(outcome));
}

Task<Result<LockAnswer>> LockService::renew(RenewRequest request) {
  Attempt attempt(key_of(request.lock), deadline_for(request.received),
                  [&request](const auto& current, Instant now) { return decide_renew(request, current, now); });
  attempt.first = First::recall;
  auto ended = co_await decide_durably(attempt);
  if (!ended) co_return ended.error();
  co_return to_answer(std::move(attempt.outcome));
}

Task<Result<std::optional<Refused>>> LockService::release(ReleaseRequest request) {
  Attempt attempt(key_of(request.lock), deadline_for(request.received),
                  [&request](const auto& current, Instant now) { return decide_release(request, current, now); });
  attempt.first = First::recall;
  auto ended = co_await decide_durably(attempt);
  if (!ended) co_return ended.error();
  auto* refused = std::get_if<Refused>(&attempt.outcome.decision);
  if (!is_write(attempt.outcome.decision)) give_up_waiting(request, std::vector<std::string>(1, name_of(request.lock)));
  if (!refused) hints_.absent(attempt.key);
  co_return refused ? std::optional(*refused) : std::nullopt;
}

Task<Result<std::optional<HeldLock>>> LockService::get(LockName lock, BootTime received) {
  std::string key = key_of(lock);
  auto found = co_await look_durably(store_, key, deadline_for(received));
  if (!found) co_return found.error();
  co_return records_.read(key, found->entry);
}

Task<Result<std::optional<Entry>>> LockService::force_release(LockName lock, BootTime received) {
  std::string key = key_of(lock);
  Deadline deadline = deadline_for(received);
  auto found = co_await look_durably(store_, key, deadline);
  if (!found) co_return found.error();
  if (!found->entry) co_return std::optional<Entry>();
  auto outcome = co_await erase_at(store_, key, found->entry->revision, deadline);
  if (!outcome) co_return outcome.error();
  // Lost the race: the holder that was seen no longer holds it, or has renewed it meanwhile.
  if (std::holds_alternative<Conflict>(*outcome)) co_return ran_out_of_retries();
  hints_.absent(key);
  co_return std::move(found->entry);
}

// For answers that may not run ahead of the disk: all but a refused acquire.
Task<Result<void>> LockService::decide_durably(Attempt& attempt) {
  auto ended = co_await decide_and_commit(attempt);
  if (!ended || is_write(attempt.outcome.decision)) co_return ended;
  co_return co_await store_.settled(attempt.outcome.revision, attempt.deadline);
}

// Looks, decides and commits as CommitAttempt says.
Task<Result<void>> LockService::decide_and_commit(Attempt& attempt) {
  using Next = CommitAttempt::Next;
  Decided& outcome = attempt.outcome;
  bool recalled = attempt.first == First::recall && decide_by_memory(attempt);
  CommitAttempt tries(options_.max_retries, recalled || attempt.first == First::guess);
  Result<Found> found = Found{};
  if (!tries.guesses()) found = co_await store_.get(attempt.key, attempt.deadline);
  for (;;) {
    if (!found) co_return tries.failure(found.error());
    auto decided = std::exchange(recalled, false) ? Result<void>() : decide_on(*found, attempt);
    if (!decided) co_return decided.error();
    Next next = tries.decided(attempt.decided(), found->entry);
    if (next == Next::ask_end) {
      auto known = co_await decide_with_end(attempt);
      if (!known) co_return tries.failure(known.error());
      next = *known ? tries.decided(attempt.decided(), found->entry) : tries.lease_had_ended();
    }
    if (next == Next::done) co_return Result<void>();
    if (next == Next::fail) co_return tries.failure();
    if (next == Next::look) {
      found = co_await store_.get(attempt.key, attempt.deadline);
      continue;
    }

    auto result = co_await store_.commit(transaction_for(attempt), attempt.deadline);
    if (!result) {
      if (tries.commit_failed(result.error()) == Next::fail) co_return result.error();
      // One look tells whether it happened; where that fails too, the outcome stays unknown.
      found = co_await look_durably(store_, attempt.key, attempt.deadline);
      if (!found) co_return tries.failure();
      next = tries.looked(attempt.decided(), std::span(&found->entry, 1), expected(outcome.seen));
      if (next == Next::decide) continue;
      BootTime received = attempt.deadline.at - options_.request_timeout;
      LeaseId lease = found->entry ? found->entry->lease : LeaseId{0};
      auto lives = co_await written_.lives_as_promised(outcome.decision, lease, received, attempt.deadline);
      if (!lives || !*lives) co_return tries.failure();
      outcome.revision = found->as_of;
      co_return Result<void>();
    }
    if (auto* committed = std::get_if<Committed>(&*result)) {
      outcome.revision = committed->revision;
      written_.note(attempt.key, outcome, committed->leases.front());
      co_return Result<void>();
    }
    auto& conflict = std::get<Conflict>(*result);
    attempt.queue_refused = attempt.is_newcomer() && conflict.occupied.front();
    found = Found{std::move(conflict.current.front()), conflict.as_of};
    if (tries.guesses()) {
      written_.forget(attempt.key);
    } else {
      records_.note_winner(found->entry);
    }
    tries.lost_race();
  }
}

Result<void> LockService::decide_on(const Found& found, Attempt& attempt) {
  auto seen = records_.read(attempt.key, found.entry);
  if (!seen) return seen.error();
  attempt.outcome.decision = attempt.decide(*seen, now());
  attempt.outcome.seen = *std::move(seen);
  attempt.outcome.revision = found.as_of;
  if (attempt.queue_refused && attempt.is_newcomer()) attempt.outcome.decision = Refused{};
  return {};
}

// Decides by the lock as we wrote it last, if that is known and lets the request change the lock: the commit then tells
// whether it is still so. Only a look can tell that there is nothing to do, or that the request is refused.
bool LockService::decide_by_memory(Attempt& attempt) const {
  auto written = written_.recall(attempt.key);
  if (!written) return false;
  Decided& outcome = attempt.outcome;
  outcome.decision = attempt.decide(written, now());
  outcome.seen = std::move(written);
  return is_write(outcome.decision);
}

// Where the decision depends on how long the lease lives. False: it has ended, so what was seen stands there no more.
Task<Result<bool>> LockService::decide_with_end(Attempt& attempt) {
  Decided& outcome = attempt.outcome;
  auto end = co_await written_.end_of(attempt.key, *outcome.seen, attempt.deadline);
  if (!end) co_return end.error();
  if (!*end) co_return false;
  outcome.seen->end = **end;
  outcome.decision = attempt.decide(outcome.seen, now());
  co_return true;
}

// A newcomer's commit expects the line to be empty.
Transaction LockService::transaction_for(const Attempt& attempt) const {
  Transaction transaction;
  add_to(transaction, attempt.key, attempt.outcome.decision, attempt.outcome.seen);
  if (attempt.is_newcomer()) {
    std::string_view name = std::string_view(attempt.key).substr(options_.key_prefix.size());
    transaction.none_under.push_back(join({options_.key_prefix, kLines, name, "/"}));
  }
  return transaction;
}

LockAnswer LockService::to_answer(Decided&& decided) const {
  auto* write = std::get_if<WriteRecord>(&decided.decision);
  if (!write) return std::get<Refused>(std::move(decided.decision));
  FencingToken token = write->record.carried_token.value_or(token_at(decided.revision, store_.token_base()));
  bool replaces = !changes_hands(decided.decision, decided.seen);
  return LockGrant{std::move(write->record), token, write->ttl, decided.revision, /*waited=*/false, replaces};
}

void LockService::take_back(Executor executor, const LockGrant& grant) {
  if (grant.replaces) return;
  BootTime now = clock_.boot_now();
  auto undo = [this, key = key_of(grant.record.lock), at = grant.revision] { return this->undo(key, at); };
  undone_.add(executor, std::move(undo), now + grant.may_be_back_for, saturating_add(now, grant.record.duration));
}

// Unless it has changed since.
Task<bool> LockService::undo(std::string key, Revision grant) {
  auto outcome = co_await erase_at(store_, std::move(key), grant, deadline_for(clock_.boot_now()));
  co_return outcome.has_value();
}

std::string LockService::name_of(const LockName& lock) {
  return join({lock.namespace_name, ":", lock.name});
}

std::string LockService::key_of(const LockName& lock) const {
  return join({options_.key_prefix, lock.namespace_name, ":", lock.name});
}

QueuePart LockService::part_of(const std::string& name) const {
  return {.lock = join({options_.key_prefix, name}), .queue = join({options_.key_prefix, kLines, name, "/"})};
}

}  // namespace sharedlock
