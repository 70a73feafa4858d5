// The part of LockService that changes several locks in one commit.
#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

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

// Whether all may yet stand as these decisions saw them: a revision never comes back, but a held lock will be free.
bool may_stand_so_again(const LockTransaction& what, const std::vector<Decided>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& stands = what.stands()[i];
    if (all[i].seen && !(stands && stands->revision == all[i].seen->revision)) return false;
  }
  return true;
}

bool shows_success_together(const LockTransaction& what, const std::vector<Decided>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!shows_success(all[i].decision, all[i].seen, what.stands()[i])) return false;
  }
  return true;
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
  bool guessed = first == First::guess;
  Result<void> looked;
  if (!guessed) looked = co_await look_together(what, deadline);
  std::optional<Error> unanswered;     // why the last try had no answer
  bool may_change_them_later = false;  // an unanswered try may: while what it saw still stands, or once it is free
  std::optional<Revision> added_to;    // as in decide_and_commit(), for the first lock: they change together
  int spared = options_.max_retries + 1;
  for (int retries_left = options_.max_retries;; --retries_left) {
    if (!looked) co_return unanswered.value_or(looked.error());
    auto all = decide_together(what, decide);
    if (!all) co_return all;
    auto known = co_await decide_with_ends(what, decide, *all, deadline);
    if (!known) co_return unanswered.value_or(known.error());
    if (!*known && retries_left < 0) co_return unanswered.value_or(ran_out_of_retries());
    if (!*known) looked = co_await look_together(what, deadline);
    if (!*known) continue;
    bool writes = std::ranges::any_of(*all, [](const Decided& one) { return is_write(one.decision); });
    if ((!writes || any_refused(*all)) && may_change_them_later) co_return *unanswered;
    if (!writes || any_refused(*all)) co_return all;
    if (may_add_twice(all->front(), added_to)) co_return *unanswered;
    if (retries_left < 0) co_return unanswered.value_or(ran_out_of_retries());

    auto result = co_await store_.commit(what.change(*all), deadline);
    if (!result && !outcome_unknown(result.error().code)) co_return result.error();
    if (!result) {
      // One look tells whether it happened; where that fails too, the outcome stays unknown.
      unanswered = result.error();
      looked = co_await look_together(what, deadline);
      if (spared-- > 0) ++retries_left;
      may_change_them_later =
          may_change_them_later || (may_happen_yet(unanswered->code) && may_stand_so_again(what, *all));
      if (adds(all->front().decision)) added_to = all->front().seen->revision;
      if (!looked || !shows_success_together(what, *all)) continue;
      auto live = co_await all_live_as_promised(what, *all, deadline);
      if (!live || !*live) co_return *unanswered;
      co_return all;
    } else if (auto* committed = std::get_if<Committed>(&*result)) {
      what.won(committed->revision);
      auto lease = committed->leases.begin();  // of the next one that is written
      for (std::size_t i = 0; i < all->size(); ++i) {
        Decided& one = (*all)[i];
        one.revision = committed->revision;
        note_written(what.keys()[i], one, is_write(one.decision) ? *lease++ : LeaseId{0});
      }
      co_return all;
    } else {
      if (!may_change_them_later && !added_to) unanswered.reset();
      what.lost(std::get<Conflict>(*std::move(result)), *all);
      if (guessed) ++retries_left;
      if (!guessed) std::ranges::for_each(what.stands(), [this](const auto& entry) { note_winner(entry); });
      guessed = false;
    }
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
    auto seen = read(what.keys()[i], what.stands()[i]);
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
