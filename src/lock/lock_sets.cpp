// The part of LockService that answers requests for several locks at once.
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
  auto outcomes = co_await sets_.change(what, std::move(decide), first, deadline_for(each.received));
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
  auto outcomes = co_await sets_.change_durably(what, std::move(decide), deadline_for(each.received));
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
  auto outcomes = co_await sets_.change_durably(what, std::move(decide), deadline_for(each.received));
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

SetGrant LockService::to_grants(DecidedAll all) const {
  SetGrant grants;
  for (Decided& one : all) grants.push_back(std::get<LockGrant>(to_answer(std::move(one))));
  return grants;
}

}  // namespace sharedlock
