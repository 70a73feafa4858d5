#include "store/grants.h"

#include <utility>

namespace sharedlock {

Task<Result<Found>> look_durably(LeaseStore& store, std::string key, Deadline deadline) {
  auto found = co_await store.get(std::move(key), deadline);
  if (!found) co_return found.error();
  auto settled = co_await store.settled(found->as_of, deadline);
  if (!settled) co_return settled.error();
  co_return found;
}

Task<Result<Outcome>> erase_at(LeaseStore& store, std::string key, Revision revision, Deadline deadline) {
  Transaction transaction;
  transaction.expect.push_back({key, revision});
  transaction.changes.emplace_back(Erase{std::move(key)});
  return store.commit(std::move(transaction), deadline);
}

bool too_late(BootTime begun, BootTime now, Ttl granted) {
  return (now - begun) * 2 > granted;
}

Error late_grant(std::string_view span) {
  return {Errc::unavailable, "the grant took longer than half of its " + std::string(span)};
}

}  // namespace sharedlock
