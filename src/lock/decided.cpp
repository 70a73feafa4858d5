#include "lock/decided.h"

#include <algorithm>

namespace sharedlock {

bool is_write(const Decision& decision) {
  return std::holds_alternative<WriteRecord>(decision) || std::holds_alternative<EraseRecord>(decision);
}

bool is_refused(const Decided& one) {
  return std::holds_alternative<Refused>(one.decision);
}

bool any_refused(std::span<const Decided> all) {
  return std::ranges::any_of(all, is_refused);
}

bool needs_end(const Decided& one) {
  return std::holds_alternative<NeedsEnd>(one.decision);
}

bool adds(const Decision& decision) {
  auto* write = std::get_if<WriteRecord>(&decision);
  return write && write->adds;
}

bool may_add_twice(const Decided& again, const std::optional<Revision>& added_to) {
  return added_to && adds(again.decision) && again.seen->revision != *added_to;
}

bool changes_hands(const Decision& decision, const std::optional<HeldLock>& seen) {
  auto* write = std::get_if<WriteRecord>(&decision);
  return write && (!seen || seen->record.holder != write->record.holder);
}

Revision expected(const std::optional<HeldLock>& seen) {
  return seen ? seen->revision : kAbsent;
}

void add_to(Transaction& transaction, const std::string& key, const Decision& decision,
            const std::optional<HeldLock>& seen) {
  transaction.expect.push_back({key, expected(seen)});
  if (auto* write = std::get_if<WriteRecord>(&decision)) {
    transaction.changes.emplace_back(Put{key, to_json(write->record), write->lifetime});
  } else if (std::holds_alternative<EraseRecord>(decision)) {
    transaction.changes.emplace_back(Erase{key});
  }
}

namespace {

bool is_held_by(const Holder& holder, const std::optional<Entry>& entry) {
  if (!entry) return false;
  auto record = parse_lock_record(entry->value);
  return record && record->holder == holder;
}

}  // namespace

bool shows_success(const Decision& decision, const std::optional<HeldLock>& seen, const std::optional<Entry>& now) {
  if (!is_write(decision)) return true;
  bool ours_is_gone = seen && (!now || now->revision != seen->revision);
  // If the holder has written there since, through another server, it still holds the lock.
  if (std::holds_alternative<EraseRecord>(decision)) return ours_is_gone && !is_held_by(seen->record.holder, now);
  const WriteRecord& write = std::get<WriteRecord>(decision);
  return write.adds && ours_is_gone && now && now->value == to_json(write.record);
}

Error ran_out_of_retries() {
  return {Errc::unavailable, "the lock kept changing while this request tried to change it"};
}

}  // namespace sharedlock
