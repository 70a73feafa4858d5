#include "lock/set_commits.h"

#include <utility>

namespace sharedlock {

namespace {

// While what they saw stands, or once it is free.
std::optional<Revision> when_they_may_happen(const LockTransaction& what, const std::vector<Decided>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& stands = what.stands()[i];
    if (all[i].seen && !(stands && stands->revision == all[i].seen->revision)) return std::nullopt;
  }
  return kAbsent;
}

}  // namespace

Task<Result<SetCommits::DecidedAll>> SetCommits::change_durably(LockTransaction& what, DecideEach decide,
                                                                Deadline deadline) {
  auto outcomes = co_await change(what, std::move(decide), First::look, deadline);
  if (!outcomes) co_return outcomes;
  auto settled = co_await store_.settled(what.as_of(), deadline);
  if (!settled) co_return settled.error();
  co_return outcomes;
}

// As CommitAttempt says.
Task<Result<SetCommits::DecidedAll>> SetCommits::change(LockTransaction& what, DecideEach decide, First first,
                                                        Deadline deadline) {
  using Next = CommitAttempt::Next;
  CommitAttempt tries(max_retries_, first == First::guess);
  Result<void> looked;
  if (!tries.guesses()) looked = co_await look(what, deadline);
  for (;;) {
    if (!looked) co_return tries.failure(looked.error());
    auto all = decide_each(what, decide);
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
      looked = co_await look(what, deadline);
      continue;
    }

    auto result = co_await store_.commit(what.change(*all), deadline);
    if (!result) {
      if (tries.commit_failed(result.error()) == Next::fail) co_return result.error();
      // One look tells whether it happened; where that fails too, the outcome stays unknown.
      looked = co_await look(what, deadline);
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
    for (const auto& entry : what.stands()) {
      if (!tries.guesses()) records_.note_winner(entry);
    }
    tries.lost_race();
  }
}

// All as of one moment, and durable.
Task<Result<void>> SetCommits::look(LockTransaction& what, Deadline deadline) {
  auto conflict = co_await store_.commit(what.look(), deadline);
  if (!conflict) co_return conflict.error();
  what.saw(std::get<Conflict>(*std::move(conflict)));
  co_return co_await store_.settled(what.as_of(), deadline);
}

Result<SetCommits::DecidedAll> SetCommits::decide_each(const LockTransaction& what, const DecideEach& decide) {
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

// Where decisions depend on how long the leases live; none is a refusal. False: one has ended, so what was seen stands
// there no more.
Task<Result<bool>> SetCommits::decide_with_ends(const LockTransaction& what, const DecideEach& decide, DecidedAll& all,
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

Task<Result<bool>> SetCommits::all_live_as_promised(const LockTransaction& what, const DecidedAll& all,
                                                    Deadline deadline) {
  BootTime received = deadline.at - request_timeout_;
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto lives = co_await written_.lives_as_promised(all[i].decision, what.stands()[i], received, deadline);
    if (!lives || !*lives) co_return lives;
  }
  co_return true;
}

}  // namespace sharedlock
