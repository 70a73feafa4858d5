#include "lock/lock_waiting.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "store/grants.h"

namespace sharedlock {

namespace {

Error may_have_it_later() {
  return {Errc::unavailable, "a try to take what was waited for had no answer, and may happen yet"};
}

}  // namespace

// The names are sorted, so that a repeated request for the same set is recognized.
WaitQueues::Waiter LockWaiting::enter(Executor executor, const LockSet& set, const AcquireRequest& request) {
  auto names = LockKeys::names_of(set);
  std::ranges::sort(names);
  const Holder& holder = request.holder;
  auto waiter = parts_.queues.enter(executor, std::move(names), holder.owner, holder.instance, request.keep_place);
  if (request.when_disconnected) request.when_disconnected(waiter.disconnect());
  return waiter;
}

void LockWaiting::give_up(const ReleaseRequest& request, const std::vector<std::string>& names) {
  if (request.token) return;
  parts_.queues.give_up(names, request.holder.owner, request.holder.instance);
}

Task<Result<LockWaiting::Waited>> LockWaiting::wait_for_all(const LockSet& set, const AcquireRequest& request,
                                                            WaitQueues::Waiter& waiter) {
  BootTime until = saturating_add(request.received, request.wait);
  std::optional<Error> unanswered;  // why it is not known whether the request holds them
  for (;;) {
    auto next = co_await parts_.queues.next(waiter, until);
    if (!next) co_return next.error();
    if (auto* end = std::get_if<WaitEnd>(&*next)) {
      Waited ended = *end;
      co_return ended;
    }
    bool is_last = std::holds_alternative<WaitQueues::TimeUp>(*next);
    if (is_last) {
      QueueState::Join join = parts_.queues.entries_of(waiter);
      auto seen = co_await look_as_time_is_up(set, std::move(join));
      if (!seen) co_return unanswered.value_or(seen.error());
      bool has_them = std::ranges::all_of(
          seen->locks, [&](const auto& lock) { return lock && lock->record.holder == request.holder; });
      if (!has_them && parts_.queues.may_take_yet(waiter)) co_return unanswered.value_or(may_have_it_later());
      // A newer request of the same holder got the locks with these entries, here or elsewhere: that one counts.
      bool by_another =
          seen->entries != QueueState::EntryFate::there && !unanswered && !parts_.queues.may_take_yet(waiter);
      Waited ended = WaitEnd::superseded;
      if (has_them && by_another) co_return ended;
      Waited refused = *std::move(seen);
      if (!has_them) co_return refused;
      next->emplace<WaitQueues::Turn>(std::get<WaitQueues::TimeUp>(*next).retake());
    }
    BootTime begun = parts_.clock.boot_now();
    auto granted = co_await take_turn(set, request, std::get<WaitQueues::Turn>(*next));
    if (!granted && (is_last || !outcome_unknown(granted.error().code))) co_return granted.error();
    if (!granted) unanswered = granted.error();
    if (granted && !*granted && !parts_.queues.may_take_yet(waiter)) unanswered.reset();
    if (!granted || !*granted) continue;
    if (too_late(begun, parts_.clock.boot_now(), request.duration)) {
      auto executor = co_await asio::this_coro::executor;
      for (LockGrant& grant : **granted) {
        grant.may_be_back_for = {};
        parts_.undone.take_back(executor, grant);
      }
      co_return late_grant("duration");
    }
    Waited grants = **std::move(granted);
    co_return grants;
  }
}

// One commit takes the locks and erases the entries, so that it and any other commit that wants either exclude each
// other. Nothing: not all are free after all, and waiting goes on.
Task<Result<std::optional<SetGrant>>> LockWaiting::take_turn(const LockSet& set, const AcquireRequest& request,
                                                             WaitQueues::Turn& turn) {
  LockTransaction what(parts_.keys.keys_of(set));
  what.give_up(turn.entries());
  SetCommits::DecideEach decide = [&set, &request, &what, step = turn.step()](std::size_t i, const auto& current,
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
  using First = CommitAttempt::First;
  First first = turn.step() == QueueState::Step::take ? First::guess : First::look;
  auto all =
      co_await parts_.set_commits.change(what, std::move(decide), first, parts_.deadline_for(parts_.clock.boot_now()));
  if (!all) {
    co_await parts_.queues.rest();
    turn.failed(all.error().code);
    co_return all.error();
  }
  if (any_refused(*all)) {
    std::vector<WaitQueues::Turn::Seen> seen;
    seen.reserve(all->size());
    for (std::size_t i = 0; i < all->size(); ++i) {
      seen.push_back({.name = LockKeys::name_of({set.namespace_name, set.names[i]}),
                      .entry = what.stands()[i],
                      .as_of = what.as_of(),
                      .look_again = parts_.records.look_again_at((*all)[i].seen)});
    }
    turn.refused(what.entries(), seen);
    co_return std::nullopt;
  }
  turn.took(what.as_of());
  SetGrant grants = to_grants(*std::move(all), parts_.store.token_base());
  for (LockGrant& grant : grants) {
    grant.waited = true;
    grant.may_be_back_for = std::min<std::chrono::seconds>(request.keep_place, kAwayAtHead);
  }
  co_return std::optional(std::move(grants));
}

// A refusal says what stands in the store, and not what the queues were told of it: since then the store may have been
// away, and an unanswered try may have happened.
Task<Result<LockWaiting::TimeUp>> LockWaiting::look_as_time_is_up(const LockSet& set, QueueState::Join join) {
  LockTransaction what(parts_.keys.keys_of(set));
  what.give_up(std::move(join));
  auto conflict = co_await parts_.store.commit(what.look(), parts_.deadline_for(parts_.clock.boot_now()));
  if (!conflict) co_return conflict.error();
  what.saw(std::get<Conflict>(*std::move(conflict)));
  TimeUp seen{.locks = {}, .entries = what.entries()};
  for (std::size_t i = 0; i < what.keys().size(); ++i) {
    auto lock = parts_.records.read(what.keys()[i], what.stands()[i]);
    if (!lock) co_return lock.error();
    seen.locks.push_back(*std::move(lock));
  }
  co_return seen;
}

}  // namespace sharedlock
