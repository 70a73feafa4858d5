// Which entries QueueState has put: those of new waiters, and of waiters that lost theirs (R24).
#include <algorithm>

#include "queue/queue_state.h"

namespace sharedlock {

QueueState::Join QueueState::join_of(WaiterId id) {
  const Waiter& waiter = waiters_.at(id);
  Join join{.entries = {}, .expected = waiter.expected, .left = {}, .since = kAbsent};
  for (const Queue* queue : waiter.queues) join.entries.push_back(key_of(*queue, waiter.name));
  if (!joins_again(waiter)) return join;
  join.since = waiter.asked;
  for (const Queue* queue : waiter.queues) {
    const EntryView* left = entry_left(*queue, waiter);
    if (left) join.left.push_back({.entry = key_of(*queue, waiter.order.name), .revision = left->revision});
  }
  return join;
}

// Whether it joins under another name than that of its former entries. A waiter without a name has left them to others.
bool QueueState::joins_again(const Waiter& waiter) {
  return !waiter.name.empty() && waiter.order.created != kAbsent && waiter.name != waiter.order.name;
}

// The entry that it had in that queue, if it still stands there.
const QueueState::EntryView* QueueState::entry_left(const Queue& queue, const Waiter& waiter) {
  const EntryView* left = entry_at(queue, waiter.order.name);
  return left && left->ours ? left : nullptr;
}

void QueueState::joined(WaiterId id, Revision revision) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  for (Queue* queue : waiter.queues) {
    bool goes = joins_again(waiter) && entry_left(*queue, waiter) && queue->queue_as_of < revision;
    if (goes) queue->removed[waiter.order.name] = revision;
  }
  waiter.state = State::in_queue;
  waiter.revision = revision;
  waiter.unsure = false;
  if (waiter.expected == kAbsent) waiter.order = {revision, waiter.name};
  if (waiter.asked == kAbsent) waiter.asked = revision;
  waiter.expected = kAbsent;
  if (waiter.superseded) return hand_on(id, waiter, /*with_entries=*/true);
  auto queues = waiter.queues;
  for (Queue* queue : queues) check_entry(*queue, id);
  look_over_all_of(queues);
}

// Its name is used up, since an unanswered commit under it may still happen. Taking over another server's entry is
// tried again under the same name: that may have happened already, which the next answer tells.
void QueueState::not_joined(WaiterId id, bool unanswered) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  bool takes_over = waiter.expected != kAbsent;
  if (takes_over && unanswered && !waiter.superseded) {
    effects_.emplace_back(Wake{id, Step::join});
    return;
  }
  unname(id, waiter);
  if (!takes_over) {
    for (Queue* queue : waiter.queues) remove_orphan(*queue, waiter.name, kNotYet);
  } else {
    waiter.order = {};
  }
  waiter.name = fresh_name();
  waiter.expected = kAbsent;
  by_name_[waiter.name] = id;
  waiter.state = State::loading;
  if (waiter.superseded) return hand_on(id, waiter, /*with_entries=*/false);
  bool had_entries = waiter.order.created != kAbsent;
  if (had_entries) return lose(id, waiter);  // in its order among the lost entries
  tell_join(id, waiter);
}

void QueueState::lose(WaiterId id, Waiter& waiter) {
  waiter.state = State::lost;
  lost_.emplace(waiter.order, id);
  effects_.emplace_back(Rejoin{});
}

// A waiter that needs more entries than that is taken alone.
std::vector<QueueState::WaiterId> QueueState::take_lost(std::size_t most_entries) {
  std::vector<WaiterId> taken;
  std::size_t entries = 0;
  while (!lost_.empty()) {
    WaiterId id = lost_.begin()->second;
    Waiter& waiter = waiters_.at(id);
    entries += waiter.queues.size();
    if (!taken.empty() && entries > most_entries) break;
    lost_.erase(lost_.begin());
    unname(id, waiter);
    waiter.name = fresh_name();
    by_name_[waiter.name] = id;
    waiter.state = State::joining;
    taken.push_back(id);
  }
  return taken;
}

void QueueState::unlose(WaiterId id, const Waiter& waiter) {
  auto lost = lost_.find(waiter.order);
  if (lost != lost_.end() && lost->second == id) lost_.erase(lost);
}

}  // namespace sharedlock
