// The part of LockService that changes several locks in one commit.
#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "lock/commit_attempt.h"
#include "lock/lock_service.h"
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

// While what they saw stands, or once it is free.
std::optional<Revision> when_they_may_happen(const LockTransaction& what, const std::vector<Decided>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& stands = what.stands()[i];
    if (all[i].seen && !(stands && stands->revision == all[i].seen->revision)) return std::nullopt;
  }
  return kAbsent;
}

SetRefused refused(const LockSet& set, const std::vector<Decided>& all) {
  return {.blocked_by = names_where(set, all, is_refused)};
}

}  // namespace

Task<Result<SetAnswer>> LockService::acquire_all(LockSet set, AcquireRequest each) {
  DecideEach decide = [&set, &each](std::size_t i, const auto& current, Instant now) {
    each.lock = {set.namespace_name, set.names[i]};
    return decide_acquire(each, current, now);
  };
  LockTransaction what(keys_of(set));
  if (queues_.may_have_entries()) {
    std::vector<std::string> queues;
    queues.reserve(set.names.size());
    for (const std::string& name : set.names) queues.push_back(part_of(name_of({set.namespace_name, name})).queue);
    what.keep_clear(std::move(queues));
  }
  bool seems_held = std::ranges::any_of(what.keys(), [this](const auto& key) { return hints_.is_present(key); });
  First first = seems_held ? First::look : First::guess;
  auto outcomes = co_await change_together(what, std::move(decide), first, deadline_for(each.received));
  if (!outcomes) co_return outcomes.error();

  auto executor = co_await asio::this_coro::executor;
  bool granted = !any_refused(*outcomes);
  for (std::size_t i = 0; i < set.names.size(); ++i) {
    const Decided& one = (*outcomes)[i];
    if (granted || one.seen) hints_.present(what.keys()[i]);
    bool by_queue_alone = is_refused(one) && !one.seen;
    if (by_queue_alone) queues_.refused_by_queue(executor, name_of({set.namespace_name, set.names[i]}));
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
  SetGrant grants = to_grants(*std::move(outcomes));
  if (too_late(each.received, clock_.boot_now(), each.duration)) {
    for (const LockGrant& grant : grants) take_back(executor, grant);
    co_return late_grant("duration");
  }
  SetAnswer answer = std::move(grants);
  co_return answer;
}

Task<Result<SetAnswer>> LockService::renew_all(LockSet set, RenewRequest each) {
  DecideEach decide = [&set, &each](std::size_t i, const auto& current, Instant now) {
    each.lock = {set.namespace_name, set.names[i]};
    return decide_renew(each, current, now);
  };
  LockTransaction what(keys_of(set));
  auto outcomes = co_await change_durably(what, std::move(decide), deadline_for(each.received));
  if (!outcomes) co_return outcomes.error();
  SetAnswer answer = refused(set, *outcomes);
  if (!any_refused(*outcomes)) answer = to_grants(*std::move(outcomes));
  co_return answer;
}

Task<Result<std::optional<SetRefused>>> LockService::release_all(LockSet set, ReleaseRequest each) {
  DecideEach decide = [&set, &each](std::size_t i, const auto& current, Instant now) {
    each.lock = {set.namespace_name, set.names[i]};
    return decide_release(each, current, now);
  };
  LockTransaction what(keys_of(set));
  auto outcomes = co_await change_durably(what, std::move(decide), deadline_for(each.received));
  if (!outcomes) co_return outcomes.error();
  bool ends_any = std::ranges::any_of(*outcomes, [](const Decided& one) { return is_write(one.decision); });
  if (!ends_any || any_refused(*outcomes)) give_up_waiting(each, names_of(set));
  if (any_refused(*outcomes)) co_return std::optional(refused(set, *outcomes));
  for (const std::string& key : what.keys()) hints_.absent(key);
  co_return std::nullopt;
}

std::vector<std::string> LockService::keys_of(const LockSet& set) const {
  std::vector<std::string> keys;
  keys.reserve(set.names.size());
  for (const std::string& name : set.names) keys.push_back(key_of({set.namespace_name, name}));
  return keys;
}

Task<Result<LockService::DecidedAll>> LockService::change_durably(LockTransaction& what, DecideEach decide,
                                                                  Deadline deadline) {
  auto outcomes = co_await change_together(what, std::move(decide), First::look, deadline);
  if (!outcomes) co_return outcomes;
  auto settled = co_await store_.settled(what.as_of(), deadline);
  if (!settled) co_return settled.error();
  co_return outcomes;
}

// decide_and_commit() for several.
Task<Result<LockService::DecidedAll>> LockService::change_together(LockTransaction& what, DecideEach decide,
                                                                   First first, Deadline deadline) {
  using Next = CommitAttempt::Next;
  CommitAttempt tries(options_.max_retries, first == First::guess);
  Result<void> looked;
  if (!tries.guesses()) looked = co_await look_together(what, deadline);
  for (;;) {
    if (!looked) co_return tries.failure(looked.error());
    auto all = decide_together(what, decide);
    if (!all) co_return all;
    Next next = tries.decided(*all, what.stands().front());
    if (next == Next::ask_end) {
      auto known = co_await decide_with_ends(what, decide, *all, deadline);
      if (!known) co_return tries.failure(known.error());
      next = *known ? tries.decided(*all, what.stands().front()) : tries.lease_had_ended();
    }
    if (next == Next::done) co_return all;
    if (next == Next::fail) co_return tries.failure();
    if (next == Next::look) {
      looked = co_await look_together(what, deadline);
      continue;
    }

    auto result = co_await store_.commit(what.change(*all), deadline);
    if (!result) {
      if (tries.commit_failed(result.error()) == Next::fail) co_return result.error();
      // One look tells whether it happened; where that fails too, the outcome stays unknown.
      looked = co_await look_together(what, deadline);
      if (!looked) co_return tries.failure();
      next = tries.looked(*all, what.stands(), when_they_may_happen(what, *all));
      if (next == Next::decide) continue;
      auto live = co_await all_live_as_promised(what, *all, deadline);
      if (!live || !*live) co_return tries.failure();
      co_return all;
    }
    if (auto* committed = std::get_if<Committed>(&*result)) {
      what.won(committed->revision);
      auto lease = committed->leases.begin();  // of the next one that is written
      for (std::size_t i = 0; i < all->size(); ++i) {
        Decided& one = (*all)[i];
        one.revision = committed->revision;
        written_.note(what.keys()[i], one, is_write(one.decision) ? *lease++ : LeaseId{0});
      }
      co_return all;
    }
    what.lost(std::get<Conflict>(*std::move(result)), *all);
    if (!tries.guesses())
      std::ranges::for_each(what.stands(), [this](const auto& entry) { records_.note_winner(entry); });
    tries.lost_race();
  }
}

// All as of one moment, and durable.
Task<Result<void>> LockService::look_together(LockTransaction& what, Deadline deadline) {
  auto conflict = co_await store_.commit(what.look(), deadline);
  if (!conflict) co_return conflict.error();
  what.saw(std::get<Conflict>(*std::move(conflict)));
  co_return co_await store_.settled(what.as_of(), deadline);
}

Result<LockService::DecidedAll> LockService::decide_together(const LockTransaction& what, const DecideEach& decide) {
  DecidedAll all;
  for (std::size_t i = 0; i < what.keys().size(); ++i) {
    auto seen = records_.read(what.keys()[i], what.stands()[i]);
    if (!seen) return seen.error();
    Decision decision = decide(i, *seen, now());
    if (what.is_queued(i) && changes_hands(decision, *seen)) decision = Refused{};
    all.push_back({std::move(decision), *std::move(seen), what.as_of()});
  }
  return all;
}

SetGrant LockService::to_grants(DecidedAll all) const {
  SetGrant grants;
  for (Decided& one : all) grants.push_back(std::get<LockGrant>(to_answer(std::move(one))));
  return grants;
}

}  // namespace sharedlock
