#include "lock/lock_service.h"

#include <boost/asio/this_coro.hpp>
#include <cstdint>
#include <limits>
#include <utility>
#include <variant>
#include <vector>

#include "store/grants.h"

namespace sharedlock {

LockService::LockService(const LockServiceOptions& options, LeaseStore& store, Clock& clock, Log& log)
    : parts_(options, store, clock, log), waiting_(parts_) {}

LockService::~LockService() = default;

Task<Result<LockAnswer>> LockService::acquire(const AcquireRequest& request) {
  return waits(request) ? acquire_in_queue(request) : try_to_acquire(request);
}

Task<Result<LockAnswer>> LockService::try_to_acquire(const AcquireRequest& request) {
  auto decide = [&request](const auto& current, Instant now) { return decide_acquire(request, current, now); };
  Attempt attempt(parts_.keys.key_of(request.lock), parts_.deadline_for(request.received), Decide(decide));
  PresenceHints::Key hint(attempt.key);
  bool waited_for = parts_.queues.in_use() && parts_.queues.is_occupied(LockKeys::name_of(request.lock));
  if (!waited_for && !parts_.hints.is_present(hint)) attempt.first = First::guess;
  attempt.in_order = parts_.queues.may_have_entries();
  auto ended = co_await decide_and_commit(attempt);
  if (!ended) co_return ended.error();
  parts_.hints.present(hint);

  Decided& outcome = attempt.outcome;
  bool granted = is_write(outcome.decision);
  auto executor = co_await asio::this_coro::executor;
  if (granted && too_late(request.received, parts_.clock.boot_now(), request.duration)) {
    take_back(executor, std::get<LockGrant>(answer_of(std::move(outcome))));
    co_return late_grant("duration");
  }
  bool by_queue_alone = !granted && !outcome.seen;
  if (by_queue_alone && !waits(request)) parts_.queues.refused_by_queue(executor, LockKeys::name_of(request.lock));
  co_return answer_of(std::move(outcome));
}

Task<Result<LockAnswer>> LockService::acquire_in_queue(const AcquireRequest& request) {
  auto answer = co_await try_to_acquire(request);
  if (!answer || !std::holds_alternative<Refused>(*answer)) co_return answer;
  LockSet alone{.namespace_name = request.lock.namespace_name, .names = {}};
  alone.names.push_back(request.lock.name);
  auto executor = co_await asio::this_coro::executor;
  auto waiter = waiting_.enter(executor, alone, request);
  auto waited = co_await waiting_.wait_for_all(alone, request, waiter);
  if (!waited) co_return waited.error();
  if (auto* granted = std::get_if<SetGrant>(&*waited)) {
    answer = std::move(granted->front());
  } else if (auto* end = std::get_if<WaitEnd>(&*waited)) {
    answer = *end;
  } else {
    const auto& lock = std::get<LockWaiting::TimeUp>(*waited).locks.front();
    Refused refused{.holder = std::nullopt, .ahead = parts_.queues.ahead_of(waiter)};
    if (lock) refused.holder = Refused::Obstacle{owner_of(*lock), lock->record.expiry};
    answer = std::move(refused);
  }
  co_return answer;
}

Task<Result<LockAnswer>> LockService::renew(RenewRequest request) {
  auto decide = [&request](const auto& current, Instant now) { return decide_renew(request, current, now); };
  Attempt attempt(parts_.keys.key_of(request.lock), parts_.deadline_for(request.received), Decide(decide));
  attempt.first = First::recall;
  auto ended = co_await decide_durably(attempt);
  if (!ended) co_return ended.error();
  co_return answer_of(std::move(attempt.outcome));
}

Task<Result<std::optional<Refused>>> LockService::release(ReleaseRequest request) {
  auto decide = [&request](const auto& current, Instant now) { return decide_release(request, current, now); };
  Attempt attempt(parts_.keys.key_of(request.lock), parts_.deadline_for(request.received), Decide(decide));
  attempt.first = First::recall;
  auto ended = co_await decide_durably(attempt);
  if (!ended) co_return ended.error();
  auto* refused = std::get_if<Refused>(&attempt.outcome.decision);
  if (!is_write(attempt.outcome.decision)) {
    waiting_.give_up(request, std::vector<std::string>(1, LockKeys::name_of(request.lock)));
  }
  if (!refused) parts_.hints.absent(attempt.key);
  co_return refused ? std::optional(*refused) : std::nullopt;
}

Task<Result<std::optional<HeldLock>>> LockService::get(LockName lock, BootTime received) {
  std::string key = parts_.keys.key_of(lock);
  auto found = co_await look_durably(parts_.store, key, parts_.deadline_for(received));
  if (!found) co_return found.error();
  co_return parts_.records.read(key, found->entry);
}

Task<Result<std::optional<Entry>>> LockService::force_release(LockName lock, BootTime received) {
  std::string key = parts_.keys.key_of(lock);
  Deadline deadline = parts_.deadline_for(received);
  auto found = co_await look_durably(parts_.store, key, deadline);
  if (!found) co_return found.error();
  if (!found->entry) co_return std::optional<Entry>();
  auto outcome = co_await erase_at(parts_.store, key, found->entry->revision, deadline);
  if (!outcome) co_return outcome.error();
  // Lost the race: the holder that was seen no longer holds it, or has renewed it meanwhile.
  if (std::holds_alternative<Conflict>(*outcome)) co_return ran_out_of_retries();
  parts_.hints.absent(key);
  co_return std::move(found->entry);
}

Task<Result<std::size_t>> LockService::count_waiters(LockName lock, BootTime received) {
  std::string queue = parts_.keys.queue_of(parts_.keys.key_of(lock));
  Deadline deadline = parts_.deadline_for(received);
  auto entries = co_await parts_.store.list(std::move(queue), "", std::numeric_limits<std::int32_t>::max(), deadline);
  if (!entries) co_return entries.error();
  co_return entries->entries.size();
}

// For answers that may not run ahead of the disk: all but a refused acquire.
Task<Result<void>> LockService::decide_durably(Attempt& attempt) {
  auto ended = co_await decide_and_commit(attempt);
  if (!ended || is_write(attempt.outcome.decision)) co_return ended;
  co_return co_await parts_.store.settled(attempt.outcome.revision, attempt.deadline);
}

// Looks, decides and commits as CommitAttempt says.
Task<Result<void>> LockService::decide_and_commit(Attempt& attempt) {
  using Next = CommitAttempt::Next;
  Decided& outcome = attempt.outcome;
  bool recalled = attempt.first == First::recall && decide_by_memory(attempt);
  CommitAttempt tries(parts_.max_retries, recalled || attempt.first == First::guess);
  Result<Found> found = Found{};
  if (!tries.guesses()) found = co_await parts_.store.get(attempt.key, attempt.deadline);
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
      found = co_await parts_.store.get(attempt.key, attempt.deadline);
      continue;
    }

    auto result = co_await parts_.store.commit(transaction_for(attempt), attempt.deadline);
    if (!result) {
      if (tries.commit_failed(result.error()) == Next::fail) co_return result.error();
      // One look tells whether it happened; where that fails too, the outcome stays unknown.
      found = co_await look_durably(parts_.store, attempt.key, attempt.deadline);
      if (!found) co_return tries.failure();
      next = tries.looked(attempt.decided(), std::span(&found->entry, 1), expected(outcome.seen));
      if (next == Next::decide) continue;
      BootTime received = attempt.deadline.at - parts_.request_timeout;
      auto lives =
          co_await parts_.written.lives_as_promised(outcome.decision, found->entry, received, attempt.deadline);
      if (!lives || !*lives) co_return tries.failure();
      outcome.revision = found->as_of;
      co_return Result<void>();
    }
    if (auto* committed = std::get_if<Committed>(&*result)) {
      outcome.revision = committed->revision;
      parts_.written.note(attempt.key, outcome, committed->leases.front());
      co_return Result<void>();
    }
    auto& conflict = std::get<Conflict>(*result);
    attempt.queue_refused = attempt.is_newcomer() && conflict.occupied.front();
    found = Found{std::move(conflict.current.front()), conflict.as_of};
    if (tries.guesses()) {
      parts_.written.forget(attempt.key);
    } else {
      parts_.records.note_winner(found->entry);
    }
    tries.lost_race();
  }
}

Result<void> LockService::decide_on(const Found& found, Attempt& attempt) {
  auto seen = parts_.records.read(attempt.key, found.entry);
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
  auto written = parts_.written.recall(attempt.key);
  if (!written) return false;
  Decided& outcome = attempt.outcome;
  outcome.decision = attempt.decide(written, now());
  outcome.seen = std::move(written);
  return is_write(outcome.decision);
}

// Where the decision depends on how long the lease lives. False: it has ended, so what was seen stands there no more.
Task<Result<bool>> LockService::decide_with_end(Attempt& attempt) {
  Decided& outcome = attempt.outcome;
  auto end = co_await parts_.written.end_of(attempt.key, *outcome.seen, attempt.deadline);
  if (!end) co_return end.error();
  if (!*end) co_return false;
  outcome.seen->end = **end;
  outcome.decision = attempt.decide(outcome.seen, now());
  co_return true;
}

// A newcomer's commit expects the queue to be empty.
Transaction LockService::transaction_for(const Attempt& attempt) const {
  Transaction transaction;
  add_to(transaction, attempt.key, attempt.outcome.decision, attempt.outcome.seen);
  if (attempt.is_newcomer()) {
    transaction.none_under.push_back(parts_.keys.queue_of(attempt.key));
  }
  return transaction;
}

}  // namespace sharedlock
