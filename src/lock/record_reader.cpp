#include "lock/record_reader.h"

#include <utility>

namespace sharedlock {

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
