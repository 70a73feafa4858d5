#include "lock/undone_grants.h"

#include <utility>

#include "store/grants.h"

namespace sharedlock {

UndoneGrants::UndoneGrants(std::chrono::milliseconds request_timeout, LeaseStore& store, Clock& clock, Log& log,
                           const LockKeys& keys)
    : request_timeout_(request_timeout),
      store_(store),
      clock_(clock),
      keys_(keys),
      retries_(clock, log, "grants that nobody learned of could not be taken back; they end by themselves") {}

void UndoneGrants::take_back(Executor executor, const LockGrant& grant) {
  if (grant.replaces) return;
  BootTime now = clock_.boot_now();
  auto undo = [this, key = keys_.key_of(grant.record.lock), at = grant.revision] { return this->undo(key, at); };
  retries_.add(executor, std::move(undo), now + grant.may_be_back_for, saturating_add(now, grant.record.duration));
}

// Unless it has changed since.
Task<bool> UndoneGrants::undo(std::string key, Revision grant) {
  Deadline deadline{clock_.boot_now() + request_timeout_};
  auto outcome = co_await erase_at(store_, std::move(key), grant, deadline);
  co_return outcome.has_value();
}

}  // namespace sharedlock
