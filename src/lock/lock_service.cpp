#include "lock/lock_service.h"

#include <boost/asio/this_coro.hpp>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "lock/token.h"

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
      log_(log),
      lines_({.followed = {options_.key_prefix},
              .part_of = [this](const std::string& name) { return part_of(name); },
              .see_lock = [this](const Entry& entry) { return see(entry); },
              .request_timeout = options_.request_timeout},
             store, clock, log) {}

LockService::~LockService() = default;

Task<Result<LockAnswer>> LockService::acquire(AcquireRequest request) {
  std::string key = key_of(request.lock);
  Decide decide = [&request](const auto& current, EpochSeconds now) { return decide_acquire(request, current, now); };
  bool waited_for = lines_.in_use() && lines_.is_occupied(name_of(request.lock));
  First first = waited_for || hints_.is_held(key) ? First::look : First::guess;
  std::string line;
  if (lines_.may_have_places()) {
    line = join({options_.key_prefix, kLines, request.lock.space, ":", request.lock.name, "/"});
  }
  Deadline deadline = deadline_for(request.received);
  auto outcome = co_await decide_and_commit(key, std::move(decide), first, std::move(line), deadline);
  if (!outcome) co_return outcome.error();
  hints_.held(key);

  bool granted = std::holds_alternative<WriteRecord>(outcome->decision);
  if (!granted && request.wait > std::chrono::seconds(0)) co_return co_await acquire_in_line(std::move(request));
  auto executor = co_await asio::this_coro::executor;
  if (granted && (clock_.boot_now() - request.received) * 2 > request.duration) {
    take_back(executor, std::get<LockGrant>(to_answer(*std::move(outcome))));
    co_return Error{Errc::unavailable, "the grant took longer than half of its duration"};
  }
  if (!granted && !outcome->seen) lines_.refused_by_line(executor, name_of(request.lock));
  co_return to_answer(*std::move(outcome));
}

Task<Result<LockAnswer>> LockService::renew(RenewRequest request) {
  Decide decide = [&request](const auto& current, EpochSeconds now) { return decide_renew(request, current, now); };
  auto outcome = co_await decide_durably(key_of(request.lock), std::move(decide), deadline_for(request.received));
  if (!outcome) co_return outcome.error();
  co_return to_answer(*std::move(outcome));
}

Task<Result<std::optional<Refused>>> LockService::release(ReleaseRequest request) {
  Decide decide = [&request](const auto& current, EpochSeconds now) { return decide_release(request, current, now); };
  std::string key = key_of(request.lock);
  auto outcome = co_await decide_durably(key, std::move(decide), deadline_for(request.received));
  if (!outcome) co_return outcome.error();
  auto* refused = std::get_if<Refused>(&outcome->decision);
  if (!refused) hints_.free(key);
  co_return refused ? std::optional(*refused) : std::nullopt;
}

Task<Result<std::optional<HeldLock>>> LockService::get(LockName lock, BootTime received) {
  std::string key = key_of(lock);
  auto found = co_await look_durably(key, deadline_for(received));
  if (!found) co_return found.error();
  co_return read(key, found->entry);
}

Task<Result<std::optional<Entry>>> LockService::force_release(LockName lock, BootTime received) {
  std::string key = key_of(lock);
  Deadline deadline = deadline_for(received);
  auto found = co_await look_durably(key, deadline);
  if (!found) co_return found.error();
  if (!found->entry) co_return std::optional<Entry>();
  Transaction transaction;
  transaction.expect.push_back({key, found->entry->revision});
  transaction.changes.emplace_back(Erase{key});
  auto outcome = co_await store_.commit(std::move(transaction), deadline);
  if (!outcome) co_return outcome.error();
  // Lost the race: who was seen there holds it no more, or has renewed it meanwhile.
  if (std::holds_alternative<Conflict>(*outcome)) co_return ran_out_of_retries();
  hints_.free(key);
  co_return std::move(found->entry);
}

// For answers that may not run ahead of the disk: all but a refused acquire.
Task<Result<Decided>> LockService::decide_durably(std::string key, Decide decide, Deadline deadline) {
  auto outcome = co_await decide_and_commit(std::move(key), std::move(decide), First::look, "", deadline);
  if (!outcome || is_write(outcome->decision)) co_return outcome;
  auto settled = co_await store_.settled(outcome->revision, deadline);
  if (!settled) co_return settled.error();
  co_return outcome;
}

// The one retry loop.
Task<Result<Decided>> LockService::decide_and_commit(std::string key, Decide decide, First first, std::string line,
                                                     Deadline deadline) {
  Result<Found> found = Found{};
  if (first == First::look) found = co_await store_.get(key, deadline);
  bool guessed = first == First::guess;
  bool line_refused = false;
  std::optional<Error> unanswered;  // why the last try had no answer
  for (int retries_left = options_.max_retries;; --retries_left) {
    if (!found) co_return found.error();
    auto seen = read(key, found->entry);
    if (!seen) co_return seen.error();
    Decision decision = decide(*seen, epoch_now());
    bool newcomer = !line.empty() && changes_hands(decision, *seen);
    if (newcomer && line_refused) decision = Refused{};
    if (!is_write(decision)) co_return Decided{std::move(decision), *std::move(seen), found->as_of};
    if (retries_left < 0) co_return unanswered.value_or(ran_out_of_retries());

    Transaction transaction;
    add_to(transaction, key, decision, *seen);
    if (newcomer) transaction.none_under.push_back(line);
    auto result = co_await store_.commit(std::move(transaction), deadline);
    if (!result && !outcome_unknown(result.error().code)) co_return result.error();
    if (!result) {
      // One look tells whether it happened; where that fails too, the outcome stays unknown.
      found = co_await look_durably(key, deadline);
      if (!found) co_return result.error();
      unanswered = result.error();
      if (shows_success(decision, *seen, found->entry)) {
        co_return Decided{std::move(decision), *std::move(seen), found->as_of};
      }
      continue;
    }
    if (auto* committed = std::get_if<Committed>(&*result)) {
      co_return Decided{std::move(decision), *std::move(seen), committed->revision};
    }
    auto& conflict = std::get<Conflict>(*result);
    unanswered.reset();
    line_refused = newcomer && conflict.occupied.front();
    found = Found{std::move(conflict.current.front()), conflict.as_of};
    if (std::exchange(guessed, false)) {
      ++retries_left;
    } else {
      note_winner(found->entry);
    }
  }
}

Task<Result<Found>> LockService::look_durably(std::string key, Deadline deadline) {
  auto found = co_await store_.get(std::move(key), deadline);
  if (!found) co_return found.error();
  auto settled = co_await store_.settled(found->as_of, deadline);
  if (!settled) co_return settled.error();
  co_return found;
}

Result<std::optional<HeldLock>> LockService::read(const std::string& key, const std::optional<Entry>& entry) {
  if (!entry) return std::optional<HeldLock>();
  auto lock = read_held_lock(*entry, store_.token_base());
  if (!lock) {
    log_.write(LogLevel::error, lock.error().message, {{"key", key}});
    return lock.error();
  }
  bool leased = entry->lease != LeaseId{0};
  clock_difference_.read(lock->record, leased, epoch_now(), clock_.boot_now());
  if (!leased) {
    lock->leaseless_for = leaseless_.seen(key, entry->revision, clock_.boot_now());
  }
  return std::optional(*std::move(lock));
}

// Of a lost race: what stands there was written while we tried.
void LockService::note_winner(const std::optional<Entry>& entry) {
  if (!entry) return;
  auto lock = read_held_lock(*entry, store_.token_base());
  if (lock) clock_difference_.just_written(lock->record, epoch_now(), clock_.boot_now());
}

LockAnswer LockService::to_answer(Decided decided) const {
  auto* write = std::get_if<WriteRecord>(&decided.decision);
  if (!write) return std::get<Refused>(std::move(decided.decision));
  FencingToken token = write->record.carried_token.value_or(token_at(decided.revision, store_.token_base()));
  bool replaces = !changes_hands(decided.decision, decided.seen);
  return LockGrant{std::move(write->record), token, write->ttl, decided.revision, /*waited=*/false, replaces};
}

void LockService::take_back(Executor executor, const LockGrant& grant) {
  if (!grant.replaces) background_.spawn(executor, undo(key_of(grant.record.lock), grant.revision));
}

// Unless it has changed since.
Task<void> LockService::undo(std::string key, Revision grant) {
  Transaction transaction;
  transaction.expect.push_back({key, grant});
  transaction.changes.emplace_back(Erase{key});
  auto result = co_await store_.commit(std::move(transaction), deadline_for(clock_.boot_now()));
  if (!result) log_.write(LogLevel::warn, "a grant could not be taken back; it ends by itself", {{"key", key}});
}

std::string LockService::name_of(const LockName& lock) {
  return join({lock.space, ":", lock.name});
}

std::string LockService::key_of(const LockName& lock) const {
  return join({options_.key_prefix, lock.space, ":", lock.name});
}

LinePart LockService::part_of(const std::string& name) const {
  return {.lock = join({options_.key_prefix, name}), .line = join({options_.key_prefix, kLines, name, "/"})};
}

Deadline LockService::deadline_for(BootTime received) const {
  return {received + options_.request_timeout};
}

EpochSeconds LockService::epoch_now() const {
  return std::chrono::floor<std::chrono::seconds>(clock_.wall_now());
}

}  // namespace sharedlock
