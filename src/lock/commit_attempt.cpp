#include "lock/commit_attempt.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace sharedlock {

namespace {

bool shows_success_together(std::span<const Decided> tried, std::span<const std::optional<Entry>> stand) {
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (!shows_success(tried[i].decision, tried[i].seen, stand[i])) return false;
  }
  return true;
}

}  // namespace

CommitAttempt::Next CommitAttempt::decided(std::span<const Decided> all, const std::optional<Entry>& first) const {
  bool refused = any_refused(all);
  if (!refused && std::ranges::any_of(all, needs_end)) return Next::ask_end;
  bool changes = !refused && std::ranges::any_of(all, [](const Decided& one) { return is_write(one.decision); });
  if (!changes) return may_happen_later(first) ? Next::fail : Next::done;
  // The locks of a set change together, so the first one tells.
  if (may_add_twice(all.front(), added_to_)) return Next::fail;
  return retries_left_ < 0 ? Next::fail : Next::commit;
}

CommitAttempt::Next CommitAttempt::lease_had_ended() {
  return retries_left_-- < 0 ? Next::fail : Next::look;
}

void CommitAttempt::lost_race() {
  if (may_happen_at_.empty() && !added_to_) unanswered_.reset();
  if (!std::exchange(guesses_, false)) --retries_left_;
}

CommitAttempt::Next CommitAttempt::commit_failed(Error why) {
  if (!outcome_unknown(why.code)) return Next::fail;
  unanswered_ = std::move(why);
  return Next::look;
}

CommitAttempt::Next CommitAttempt::looked(std::span<const Decided> tried, std::span<const std::optional<Entry>> stand,
                                          std::optional<Revision> may_happen_at) {
  if (spared_-- <= 0) --retries_left_;
  if (may_happen_at && may_happen_yet(unanswered_->code)) may_happen_at_.push_back(*may_happen_at);
  const Decided& first = tried.front();
  if (first.seen && adds(first.decision)) added_to_ = first.seen->revision;
  return shows_success_together(tried, stand) ? Next::check_promise : Next::decide;
}

// A revision that is gone never comes back, but a lock that is held will be free.
bool CommitAttempt::may_happen_later(const std::optional<Entry>& first) const {
  return std::ranges::any_of(may_happen_at_,
                             [&](Revision at) { return at == kAbsent || (first && first->revision == at); });
}

}  // namespace sharedlock
