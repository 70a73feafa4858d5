#include "store/etcd/lease/short_leases.h"

#include <algorithm>
#include <utility>

namespace sharedlock {

namespace {

// Time limit of one background try.
constexpr std::chrono::seconds kLongestCheck{2};

using Ends = EtcdShortLeases::Ends;

// A transaction that puts anew the entries that share leases; or erases them.
Transaction again(const Transaction& transaction, const Committed& committed, const Ends& ends, bool erase) {
  Transaction again;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (!ends[i]) continue;
    const Put& put = std::get<Put>(transaction.changes[i]);
    again.expect.push_back({put.key, committed.revision});
    if (erase) {
      again.changes.emplace_back(Erase{put.key});
    } else {
      again.changes.emplace_back(Put{put.key, put.value, PooledUntil{*ends[i]}});
    }
  }
  return again;
}

// Whether its put replaced nothing.
bool puts_new_entries(const Transaction& transaction, const Ends& ends) {
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (!ends[i]) continue;
    const std::string& key = key_of(transaction.changes[i]);
    auto stood = std::ranges::find(transaction.expect, key, &Expect::key);
    if (stood == transaction.expect.end() || stood->at != kAbsent) return false;
  }
  return true;
}

BootTime last_of(const Ends& ends) {
  BootTime last{};
  for (const auto& end : ends) last = std::max(last, end.value_or(last));
  return last;
}

}  // namespace

std::optional<BootTime> shared_end(const Lifetime& lifetime, BootTime called) {
  if (auto* pooled = std::get_if<PooledLease>(&lifetime)) return saturating_add(called, pooled->ttl);
  if (auto* until = std::get_if<PooledUntil>(&lifetime)) return until->end;
  if (auto* keep = std::get_if<KeepLease>(&lifetime)) return keep->end;
  return std::nullopt;
}

EtcdShortLeases::EtcdShortLeases(Forget forget, Commit commit, Clock& clock, Log& log, Executor executor)
    : forget_(std::move(forget)),
      commit_(std::move(commit)),
      clock_(clock),
      executor_(executor),
      undone_(clock, log, "locks whose leases end too early could not be moved to others") {}

Task<Result<Outcome>> EtcdShortLeases::move(const Transaction* transaction, const Committed* committed,
                                            const Ends* ends, BootTime asked, Deadline deadline) {
  forget_(asked);
  auto moved = co_await commit_(again(*transaction, *committed, *ends, /*erase=*/false), deadline);
  if (!moved) {
    bool erase = puts_new_entries(*transaction, *ends);
    auto later = [this, what = again(*transaction, *committed, *ends, erase)] { return try_later(what); };
    undone_.add(executor_, std::move(later), clock_.boot_now(), last_of(*ends));
    co_return Error{Errc::unavailable, moved.error().message};
  }
  auto* done = std::get_if<Committed>(&*moved);
  // A conflict: an entry that this transaction had put has changed since.
  if (!done) co_return Error{Errc::unanswered, "its lease was to end too early, and it has changed since"};
  Committed now_there = *committed;
  now_there.first = committed->created();
  now_there.revision = done->revision;
  auto lease = done->leases.begin();
  for (std::size_t i = 0; i < ends->size(); ++i) {
    if ((*ends)[i]) now_there.leases[i] = *lease++;
  }
  co_return Outcome(std::move(now_there));
}

Task<bool> EtcdShortLeases::try_later(Transaction transaction) {
  Deadline deadline{clock_.boot_now() + kLongestCheck};
  auto outcome = co_await commit_(std::move(transaction), deadline);
  co_return outcome.has_value();
}

}  // namespace sharedlock
