#include "lock/lock_transaction.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace sharedlock {

namespace {

QueueState::EntryFate fate_of(std::span<const std::optional<Entry>> stands, Revision expected) {
  auto entries = QueueState::EntryFate::there;
  for (const auto& entry : stands) {
    if (entry && entry->revision != expected) return QueueState::EntryFate::taken_over;
    if (!entry) entries = QueueState::EntryFate::gone;
  }
  return entries;
}

}  // namespace

LockTransaction::LockTransaction(std::vector<std::string> keys)
    : keys_(std::move(keys)), stands_(keys_.size()), in_queue_(keys_.size(), false) {}

Transaction LockTransaction::look() const {
  Transaction transaction;
  for (const std::string& key : keys_) transaction.expect.push_back({key, kNever});
  for (const std::string& entry : entries_.entries) transaction.expect.push_back({entry, kNever});
  return transaction;
}

void LockTransaction::saw(Conflict conflict) {
  auto entries = conflict.current.begin() + static_cast<std::ptrdiff_t>(keys_.size());
  if (expects_entries()) entries_stand_ = fate_of({entries, conflict.current.end()}, entries_.expected);
  conflict.current.erase(entries, conflict.current.end());
  stands_ = std::move(conflict.current);
  in_queue_.assign(keys_.size(), false);
  as_of_ = conflict.as_of;
}

bool LockTransaction::is_newcomer(const Decided& one) const {
  return !queues_.empty() && changes_hands(one.decision, one.seen);
}

Transaction LockTransaction::change(const std::vector<Decided>& all) const {
  Transaction transaction;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    add_to(transaction, keys_[i], all[i].decision, all[i].seen);
    if (is_newcomer(all[i])) transaction.none_under.push_back(queues_[i]);
  }
  for (const std::string& entry : entries_.entries) {
    if (expects_entries()) transaction.expect.push_back({entry, entries_.expected});
    if (entries_stand_ != QueueState::EntryFate::taken_over) transaction.changes.emplace_back(Erase{entry});
  }
  return transaction;
}

void LockTransaction::lost(Conflict conflict, const std::vector<Decided>& all) {
  std::vector<bool> occupied = std::move(conflict.occupied);
  saw(std::move(conflict));
  auto next = occupied.begin();
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (is_newcomer(all[i])) in_queue_[i] = *next++;
  }
}

}  // namespace sharedlock
