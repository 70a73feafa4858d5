#include "lock/written_locks.h"

#include <utility>

#include "store/fencing_token.h"

namespace sharedlock {

void WrittenLocks::note(const std::string& key, const Decided& outcome, LeaseId lease) {
  auto* write = std::get_if<WriteRecord>(&outcome.decision);
  // The first renewal may well look for the end of the lease, if a look costs little.
  if (!store_.is_shared() && !(write && write->record.carried_token)) return;
  if (!write) return locks_.forget(key);
  FencingToken token = write->record.carried_token.value_or(token_at(outcome.revision, store_.token_base()));
  HeldLock written{.record = write->record, .token = token, .revision = outcome.revision, .lease = lease};
  written.end = write->end;
  locks_.put(key, std::move(written));
}

std::optional<HeldLock> WrittenLocks::recall(const std::string& key) const {
  return store_.is_shared() ? locks_.find(key) : std::nullopt;
}

Task<Result<std::optional<PresentEnd>>> WrittenLocks::end_of(const std::string& key, const HeldLock& lock,
                                                             Deadline deadline) const {
  auto written = locks_.find(key);
  if (written && written->revision == lock.revision) co_return written->end;
  auto life = co_await store_.lease_life(lock.lease, deadline);
  if (!life) co_return life.error();
  if (!*life) co_return std::optional<PresentEnd>();
  PresentEnd end{.at_least = (*life)->surely_until, .at_most = (*life)->at_most_until, .looked_up = true};
  co_return std::optional(end);
}

Task<Result<bool>> WrittenLocks::lives_as_promised(const Decision& decision, const std::optional<Entry>& stands,
                                                   BootTime received, Deadline deadline) const {
  auto* write = std::get_if<WriteRecord>(&decision);
  if (!write) co_return true;
  LeaseId lease = stands ? stands->lease : LeaseId{0};
  auto life = co_await store_.lease_life(lease, deadline);
  if (!life) co_return life.error();
  co_return *life && (*life)->surely_until >= saturating_add(received, write->ttl);
}

}  // namespace sharedlock
