// The part of LockService that waits in line.
#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <cstdint>
#include <limits>
#include <utility>

#include "lock/lock_service.h"
#include "store/grants.h"

namespace sharedlock {

namespace {

// How long after a record's `expiry` its lease should have ended.
constexpr std::chrono::seconds kAfterExpiry{1};

Error may_have_it_later() {
  return {Errc::unavailable, "a try to take what was waited for had no answer, and may happen yet"};
}

}  // namespace

Task<Result<LockAnswer>> LockService::acquire_in_queue(const AcquireRequest& request) {
  auto answer = co_await try_to_acquire(request);
  if (!answer || !std::holds_alternative<Refused>(*answer)) co_return answer;
  LockSet alone{.namespace_name = request.lock.namespace_name, .names = {}};
  alone.names.push_back(request.lock.name);
  auto executor = co_await asio::this_coro::executor;
  auto waiter = enter_queue(executor, alone, request);
  auto waited = co_await wait_for_all(alone, request, waiter);
  if (!waited) co_return waited.error();
  if (auto* granted = std::get_if<SetGrant>(&*waited)) {
    answer = std::move(granted->front());
  } else if (auto* end = std::get_if<WaitEnd>(&*waited)) {
    answer = *end;
  } else {
    const auto& lock = std::get<TimeUp>(*waited).locks.front();
    Refused refused{.holder = std::nullopt, .ahead = queues_.ahead_of(waiter)};
    if (lock) refused.holder = Refused::Obstacle{owner_of(*lock), lock->record.expiry};
    answer = std::move(refused);
  }
  co_return answer;
}

Task<Result<SetAnswer>> LockService::acquire_all_in_queue(LockSet set, AcquireRequest each) {
  auto executor = co_await asio::this_coro::executor;
  auto waiter = enter_queue(executor, set, each);
  auto waited = co_await wait_for_all(set, each, waiter);
  if (!waited) co_return waited.error();
  SetAnswer answer;
  if (auto* granted = std::get_if<SetGrant>(&*waited)) {
    answer = std::move(*granted);
  } else if (auto* end = std::get_if<WaitEnd>(&*waited)) {
    answer = *end;
  } else {
    answer = refused_in_queue(set, each, waiter, std::get<TimeUp>(*waited));
  }
  co_return answer;
}

// Joins the lines of all names. They are sorted, so that a repeated request for the same set is recognized.
WaitQueues::Waiter LockService::enter_queue(Executor executor, const LockSet& set, const AcquireRequest& request) {
  auto names = names_of(set);
  std::ranges::sort(names);
  const Holder& holder = request.holder;
  auto waiter = queues_.enter(executor, std::move(names), holder.owner, holder.instance, request.keep_place);
  if (request.when_disconnected) request.when_disconnected(waiter.disconnect());
  return waiter;
}

std::vector<std::string> LockService::names_of(const LockSet& set) {
  std::vector<std::string> names;
  names.reserve(set.names.size());
  for (const std::string& name : set.names) names.push_back(name_of({set.namespace_name, name}));
  return names;
}

// A client that releases what it does not hold may have waited for it, and will not come back (R37). A release with a
// token gives up nothing: it means a holding, and may be a late duplicate.
void LockService::give_up_waiting(const ReleaseRequest& request, const std::vector<std::string>& names) {
  if (request.token) return;
  queues_.give_up(names, request.holder.owner, request.holder.instance);
}

Task<Result<LockService::Waited>> LockService::wait_for_all(const LockSet& set, const AcquireRequest& request,
                                                            WaitQueues::Waiter& waiter) {
  BootTime until = saturating_add(request.received, request.wait);
  std::optional<Error> unanswered;  // why it is not known whether the request holds them
  for (;;) {
    auto next = co_await queues_.next(waiter, until);
    if (!next) co_return next.error();
    if (auto* end = std::get_if<WaitEnd>(&*next)) {
      Waited ended = *end;
      co_return ended;
    }
    bool is_last = std::holds_alternative<WaitQueues::TimeUp>(*next);
    if (is_last) {
      QueueState::Join join = queues_.entries_of(waiter);
      auto seen = co_await look_as_time_is_up(set, std::move(join));
      if (!seen) co_return unanswered.value_or(seen.error());
      bool has_them = std::ranges::all_of(
          seen->locks, [&](const auto& lock) { return lock && lock->record.holder == request.holder; });
      if (!has_them && queues_.may_take_yet(waiter)) co_return unanswered.value_or(may_have_it_later());
      // A newer request of the same holder got the locks with these places, here or elsewhere: that one counts.
      bool by_another = seen->entries != QueueState::EntryFate::there && !unanswered && !queues_.may_take_yet(waiter);
      Waited ended = WaitEnd::superseded;
      if (has_them && by_another) co_return ended;
      Waited refused = *std::move(seen);
      if (!has_them) co_return refused;
      next->emplace<WaitQueues::Turn>(std::get<WaitQueues::TimeUp>(*next).retake());
    }
    BootTime begun = clock_.boot_now();
    auto granted = co_await take_turn(set, request, std::get<WaitQueues::Turn>(*next));
    if (!granted && (is_last || !outcome_unknown(granted.error().code))) co_return granted.error();
    if (!granted) unanswered = granted.error();
    if (granted && !*granted && !queues_.may_take_yet(waiter)) unanswered.reset();
    if (!granted || !*granted) continue;
    if (too_late(begun, clock_.boot_now(), request.duration)) {
      auto executor = co_await asio::this_coro::executor;
      for (LockGrant& grant : **granted) {
        grant.may_be_back_for = {};
        take_back(executor, grant);
      }
      co_return late_grant("duration");
    }
    Waited grants = **std::move(granted);
    co_return grants;
  }
}

Task<Result<std::size_t>> LockService::count_waiters(LockName lock, BootTime received) {
  std::string queue = part_of(name_of(lock)).queue;
  auto entries =
      co_await store_.list(std::move(queue), "", std::numeric_limits<std::int32_t>::max(), deadline_for(received));
  if (!entries) co_return entries.error();
  co_return entries->entries.size();
}

// One commit takes the locks and erases the places, so that it and any other commit that wants either exclude each
// other. Nothing: not all are free after all, and waiting goes on.
Task<Result<std::optional<SetGrant>>> LockService::take_turn(const LockSet& set, const AcquireRequest& request,
                                                             WaitQueues::Turn& turn) {
  LockTransaction what(keys_of(set));
  what.give_up(turn.entries());
  DecideEach decide = [&set, &request, &what, step = turn.step()](std::size_t i, const auto& current,
                                                                  Instant now) -> Decision {
    bool first = what.entries() == QueueState::EntryFate::there && step != QueueState::Step::retake;
    bool mine = current && current->record.holder == request.holder;
    if (!first && !mine) return Refused{};
    AcquireRequest one{.lock = {set.namespace_name, set.names[i]},
                       .holder = request.holder,
                       .duration = request.duration,
                       .received = request.received};
    return decide_acquire(one, current, now);
  };
  First first = turn.step() == QueueState::Step::take ? First::guess : First::look;
  auto all = co_await sets_.change(what, std::move(decide), first, deadline_for(clock_.boot_now()));
  if (!all) {
    co_await queues_.rest();
    turn.failed(all.error().code);
    co_return all.error();
  }
  if (any_refused(*all)) {
    std::vector<WaitQueues::Turn::Seen> seen;
    for (std::size_t i = 0; i < all->size(); ++i) {
      seen.push_back({.name = name_of({set.namespace_name, set.names[i]}),
                      .entry = what.stands()[i],
                      .as_of = what.as_of(),
                      .look_again = look_again_at((*all)[i].seen)});
    }
    turn.refused(what.entries(), seen);
    co_return std::nullopt;
  }
  turn.took(what.as_of());
  SetGrant grants = to_grants(*std::move(all));
  for (LockGrant& grant : grants) {
    grant.waited = true;
    grant.may_be_back_for = std::min<std::chrono::seconds>(request.keep_place, kAwayAtHead);
  }
  co_return std::optional(std::move(grants));
}

// A refusal says what stands in the store, and not what the lines were told of it: since then the store may have been
// away, and an unanswered try may have happened.
Task<Result<LockService::TimeUp>> LockService::look_as_time_is_up(const LockSet& set, QueueState::Join join) {
  LockTransaction what(keys_of(set));
  what.give_up(std::move(join));
  auto conflict = co_await store_.commit(what.look(), deadline_for(clock_.boot_now()));
  if (!conflict) co_return conflict.error();
  what.saw(std::get<Conflict>(*std::move(conflict)));
  TimeUp seen{.locks = {}, .entries = what.entries()};
  for (std::size_t i = 0; i < what.keys().size(); ++i) {
    auto lock = records_.read(what.keys()[i], what.stands()[i]);
    if (!lock) co_return lock.error();
    seen.locks.push_back(*std::move(lock));
  }
  co_return seen;
}

SetRefused LockService::refused_in_queue(const LockSet& set, const AcquireRequest& request,
                                         const WaitQueues::Waiter& waiter, const TimeUp& seen) const {
  SetRefused refused{.blocked_by = {}, .ahead = queues_.ahead_of(waiter)};
  auto blockers = queues_.blockers_of(waiter);
  for (std::size_t i = 0; i < set.names.size(); ++i) {
    const std::string& name = set.names[i];
    bool is_held = seen.locks[i] && seen.locks[i]->record.holder != request.holder;
    bool blocks = is_held || std::ranges::find(blockers, key_of({set.namespace_name, name})) != blockers.end();
    if (blocks) refused.blocked_by.push_back(name);
  }
  return refused;
}

// What a line has to know of a record: the lock's holder, and when its holding should have ended.
LockSight LockService::see(const Entry& entry) const {
  auto lock = read_held_lock(entry, store_.token_base());
  if (!lock) return {};
  auto now = clock_.wall_now();
  auto second = std::chrono::floor<std::chrono::seconds>(now);
  auto left = std::max<EpochSeconds>(lock->record.expiry, second) - second;
  BootTime look_again = saturating_add(clock_.boot_now() - (now - second) + kAfterExpiry, left);
  const Holder& holder = lock->record.holder;
  // Without an owner it equals no waiter.
  Identity identity = holder.ownerless ? Identity() : identity_of(holder.owner, holder.instance);
  return {.holder = std::move(identity), .look_again = look_again};
}

// A record with a lease ends with an event; one without may be taken over when it has stood there long enough.
std::optional<BootTime> LockService::look_again_at(const std::optional<HeldLock>& lock) const {
  if (!lock || !lock->leaseless_for) return std::nullopt;
  BootTime now = clock_.boot_now();
  return std::max(saturating_add(now - *lock->leaseless_for, lock->record.duration), now + kAfterExpiry);
}

}  // namespace sharedlock
