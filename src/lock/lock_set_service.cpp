#include "lock/lock_set_service.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "store/grants.h"

namespace sharedlock {

namespace {

// The names for which `is_true` holds.
template <class Predicate>
std::vector<std::string> names_where(const LockSet& set, const std::vector<Decided>& all, Predicate is_true) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (is_true(all[i])) names.push_back(set.names[i]);
  }
  return names;
}

// Decides on each lock by that rule of single locks. The set and the request must outlive it.
template <auto rule, class Request>
SetCommits::DecideEach each_by(const LockSet& set, Request& each) {
  return [&set, &each](std::size_t i, const auto& current, Instant now) {
    each.lock = {set.namespace_name, set.names[i]};
    return rule(each, current, now);
  };
}

SetRefused refused(const LockSet& set, const std::vector<Decided>& all) {
  return {.blocked_by = names_where(set, all, is_refused)};
}

}  // namespace

Task<Result<SetAnswer>> LockSetService::acquire_all(LockSet set, AcquireRequest each) {
  auto decide = each_by<decide_acquire>(set, each);
  LockTransaction what(parts_.keys.keys_of(set));
  if (parts_.queues.may_have_entries()) {
    std::vector<std::string> queues;
    queues.reserve(set.names.size());
    for (const std::string& key : what.keys()) queues.push_back(parts_.keys.queue_of(key));
    what.keep_clear(std::move(queues));
  }
  bool seems_held = std::ranges::any_of(what.keys(), [this](const auto& key) { return parts_.hints.is_present(key); });
  using First = CommitAttempt::First;
  First first = seems_held ? First::look : First::guess;
  auto outcomes =
      co_await parts_.set_commits.change(what, std::move(decide), first, parts_.deadline_for(each.received));
  if (!outcomes) co_return outcomes.error();

  auto executor = co_await asio::this_coro::executor;
  bool granted = !any_refused(*outcomes);
  for (std::size_t i = 0; i < set.names.size(); ++i) {
    const Decided& one = (*outcomes)[i];
    if (granted || one.seen) parts_.hints.present(what.keys()[i]);
    bool by_queue_alone = is_refused(one) && !one.seen;
    if (by_queue_alone) parts_.queues.refused_by_queue(executor, LockKeys::name_of({set.namespace_name, set.names[i]}));
  }
  if (!granted) {
    SetAnswer answer = refused(set, *outcomes);
    if (each.wait <= std::chrono::seconds(0)) co_return answer;
    auto held = names_where(set, *outcomes,
                            [&](const Decided& one) { return one.seen && one.seen->record.holder == each.holder; });
    if (!held.empty()) {
      answer = HoldAndWait{std::move(held)};
      co_return answer;
    }
    co_return co_await acquire_all_in_queue(std::move(set), std::move(each));
  }
  SetGrant grants = to_grants(*std::move(outcomes), parts_.store.token_base());
  if (too_late(each.received, parts_.clock.boot_now(), each.duration)) {
    for (const LockGrant& grant : grants) parts_.undone.take_back(executor, grant);
    co_return late_grant("duration");
  }
  SetAnswer answer = std::move(grants);
  co_return answer;
}

Task<Result<SetAnswer>> LockSetService::acquire_all_in_queue(LockSet set, AcquireRequest each) {
  auto executor = co_await asio::this_coro::executor;
  auto waiter = waiting_.enter(executor, set, each);
  auto waited = co_await waiting_.wait_for_all(set, each, waiter);
  if (!waited) co_return waited.error();
  SetAnswer answer;
  if (auto* granted = std::get_if<SetGrant>(&*waited)) {
    answer = std::move(*granted);
  } else if (auto* end = std::get_if<WaitEnd>(&*waited)) {
    answer = *end;
  } else {
    answer = refused_in_queue(set, each, waiter, std::get<LockWaiting::TimeUp>(*waited));
  }
  co_return answer;
}

SetRefused LockSetService::refused_in_queue(const LockSet& set, const AcquireRequest& request,
                                            const WaitQueues::Waiter& waiter, const LockWaiting::TimeUp& seen) const {
  SetRefused refused{.blocked_by = {}, .ahead = parts_.queues.ahead_of(waiter)};
  auto blockers = parts_.queues.blockers_of(waiter);
  for (std::size_t i = 0; i < set.names.size(); ++i) {
    const std::string& name = set.names[i];
    bool is_held = seen.locks[i] && seen.locks[i]->record.holder != request.holder;
    bool blocks =
        is_held || std::ranges::find(blockers, parts_.keys.key_of({set.namespace_name, name})) != blockers.end();
    if (blocks) refused.blocked_by.push_back(name);
  }
  return refused;
}

Task<Result<SetAnswer>> LockSetService::renew_all(LockSet set, RenewRequest each) {
  auto decide = each_by<decide_renew>(set, each);
  LockTransaction what(parts_.keys.keys_of(set));
  auto outcomes =
      co_await parts_.set_commits.change_durably(what, std::move(decide), parts_.deadline_for(each.received));
  if (!outcomes) co_return outcomes.error();
  SetAnswer answer = refused(set, *outcomes);
  if (!any_refused(*outcomes)) answer = to_grants(*std::move(outcomes), parts_.store.token_base());
  co_return answer;
}

Task<Result<std::optional<SetRefused>>> LockSetService::release_all(LockSet set, ReleaseRequest each) {
  auto decide = each_by<decide_release>(set, each);
  LockTransaction what(parts_.keys.keys_of(set));
  auto outcomes =
      co_await parts_.set_commits.change_durably(what, std::move(decide), parts_.deadline_for(each.received));
  if (!outcomes) co_return outcomes.error();
  bool ends_any = std::ranges::any_of(*outcomes, [](const Decided& one) { return is_write(one.decision); });
  if (!ends_any || any_refused(*outcomes)) waiting_.give_up(each, LockKeys::names_of(set));
  if (any_refused(*outcomes)) co_return std::optional(refused(set, *outcomes));
  for (const std::string& key : what.keys()) parts_.hints.absent(key);
  co_return std::nullopt;
}

}  // namespace sharedlock
