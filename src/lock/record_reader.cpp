#include "lock/record_reader.h"

#include <algorithm>
#include <utility>

#include "queue/queue_entry.h"

namespace sharedlock {

namespace {

// How long after a record's `expiry` its lease should have ended.
constexpr std::chrono::seconds kAfterExpiry{1};

}  // namespace

Result<std::optional<HeldLock>> RecordReader::read(const std::string& key, const std::optional<Entry>& entry) {
  if (!entry) return std::optional<HeldLock>();
  auto lock = read_held_lock(*entry, store_.token_base());
  if (!lock) {
    log_.write(LogLevel::error, lock.error().message, {{"key", key}});
    return lock.error();
  }
  bool leased = entry->lease != LeaseId{0};
  report(clock_skew_.read(lock->record, leased, now()));
  if (!leased) {
    lock->leaseless_for = leaseless_.seen(key, entry->revision, clock_.boot_now());
  }
  return std::optional(*std::move(lock));
}

LockSight RecordReader::see(const Entry& entry) const {
  auto lock = read_held_lock(entry, store_.token_base());
  if (!lock) return {};
  auto now = clock_.wall_now();
  auto second = std::chrono::floor<std::chrono::seconds>(now);
  auto left = std::max<EpochSeconds>(lock->record.expiry, second) - second;
  BootTime look_again = saturating_add(clock_.boot_now() - (now - second) + kAfterExpiry, left);
  const Holder& holder = lock->record.holder;
  // Without an owner it equals no waiter.
  Identity identity = holder.ownerless ? Identity() : identity_of(holder.owner, holder.instance);
  return {.holder = std::move(identity), .look_again = look_again};
}

std::optional<BootTime> RecordReader::look_again_at(const std::optional<HeldLock>& lock) const {
  if (!lock || !lock->leaseless_for) return std::nullopt;
  BootTime now = clock_.boot_now();
  return std::max(saturating_add(now - *lock->leaseless_for, lock->record.duration), now + kAfterExpiry);
}

void RecordReader::note_winner(const std::optional<Entry>& entry) {
  if (!entry) return;
  auto lock = read_held_lock(*entry, store_.token_base());
  if (lock) report(clock_skew_.just_written(lock->record, now()));
}

void RecordReader::report(std::optional<std::chrono::seconds> difference) {
  if (!difference) return;
  log_.write(LogLevel::warn, "the clock of a server that writes lock records differs from this one's by over a second",
             {{"seconds", std::to_string(difference->count())}});
}

}  // namespace sharedlock
