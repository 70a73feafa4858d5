// The part of LockService that extends locks, and finds out when they would end.
#include <utility>

#include "lock/lock_service.h"

namespace sharedlock {

Task<Result<LockAnswer>> LockService::renew(RenewRequest request) {
  Attempt attempt(key_of(request.lock), deadline_for(request.received),
                  [&request](const auto& current, Instant now) { return decide_renew(request, current, now); });
  attempt.first = First::recall;
  auto ended = co_await decide_durably(attempt);
  if (!ended) co_return ended.error();
  co_return to_answer(std::move(attempt.outcome));
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

// The same for several, of which none was refused.
Task<Result<bool>> LockService::decide_with_ends(const LockTransaction& what, const DecideEach& decide, DecidedAll& all,
                                                 Deadline deadline) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!needs_end(all[i]) || all[i].seen->end) continue;
    auto end = co_await written_.end_of(what.keys()[i], *all[i].seen, deadline);
    if (!end) co_return end.error();
    if (!*end) co_return false;
    all[i].seen->end = **end;
    // Most hang on one lease. What was found out a moment ago is still true.
    for (std::size_t j = i + 1; (*end)->looked_up && j < all.size(); ++j) {
      if (needs_end(all[j]) && all[j].seen->lease == all[i].seen->lease) all[j].seen->end = **end;
    }
  }
  Instant at = now();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (needs_end(all[i])) all[i].decision = decide(i, all[i].seen, at);
  }
  co_return true;
}

// After a commit with unknown outcome: whether the promise that its answer would make is true of what stands there on
// that lease.
Task<Result<bool>> LockService::lives_as_promised(const Decision& decision, LeaseId lease, Deadline deadline) {
  auto* write = std::get_if<WriteRecord>(&decision);
  if (!write) co_return true;
  auto life = co_await store_.lease_life(lease, deadline);
  if (!life) co_return life.error();
  BootTime received = deadline.at - options_.request_timeout;
  co_return *life && (*life)->surely_until >= saturating_add(received, write->ttl);
}

Task<Result<bool>> LockService::all_live_as_promised(const LockTransaction& what, const DecidedAll& all,
                                                     Deadline deadline) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    LeaseId lease = what.stands()[i] ? what.stands()[i]->lease : LeaseId{0};
    auto lives = co_await lives_as_promised(all[i].decision, lease, deadline);
    if (!lives || !*lives) co_return lives;
  }
  co_return true;
}

}  // namespace sharedlock
