// What QueueState does for clients that come back: it keeps their entries while they are away (R37), and hands them on
// from one request to the next of the same identity.
#include <algorithm>

#include "queue/queue_state.h"

namespace sharedlock {

void QueueState::keep(WaiterId id, std::chrono::nanoseconds span) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  bool surely_its_own = waiter.state == State::in_queue && !waiter.superseded && !waiter.unsure;
  bool may_come_back = span > span.zero() && !waiter.identity.empty() && !waiter.given_up;
  if (!surely_its_own || !may_come_back || kept_.size() >= kMostKept) return left(id);
  waiter.state = State::away;
  waiter.acting = false;
  waiter.kept_until = now_ + std::chrono::duration_cast<BootTime::duration>(span);
  kept_.emplace(waiter.kept_until, id);
  auto queues = waiter.queues;
  for (Queue* queue : queues) {
    if (waiters_.contains(id)) check_entry(*queue, id);
  }
  look_over_all_of(queues);
}

void QueueState::give_up(const std::vector<std::string>& locks, const Identity& identity) {
  Queue* queue = locks.empty() ? nullptr : find(locks.front());
  if (!queue) return;
  auto same = queue->identities.find(identity);
  if (same == queue->identities.end()) return;
  Waiter& waiter = waiters_.at(same->second);
  auto is_named = [&](const Queue* one) { return std::ranges::find(locks, one->part.lock) != locks.end(); };
  bool for_all = waiter.queues.size() == locks.size() && std::ranges::all_of(waiter.queues, is_named);
  if (!for_all) return;
  waiter.given_up = true;
  if (waiter.state == State::away) left(same->second);
}

// A newer waiter of the same identity for the same locks takes the older one's entry, if that is surely there. Where a
// commit of the older one is under way, the newer one waits for it if its client may have come back.
void QueueState::succeed(WaiterId older_id, Waiter& older, Waiter& newer) {
  bool stands = (older.state == State::in_queue && !older.acting) || older.state == State::away;
  bool under_way = older.state == State::in_queue || older.state == State::joining;
  if (older.state == State::succeeding) {
    newer.state = State::succeeding;
    newer.succeeds = older.succeeds;
  } else if (older.superseded) {
    return;
  } else if (stands) {
    newer.name = std::exchange(older.name, {});
    newer.state = State::in_queue;
    newer.revision = older.revision;
    newer.order = older.order;
    newer.asked = older.asked;
    newer.unsure = older.unsure;
  } else if (under_way && newer.back != Back::no) {
    newer.state = State::succeeding;
    newer.succeeds = older_id;
  }
}

// The waiter that waits for a commit of this one; 0: none. All queues are looked at: a request for only some of the
// locks may have come since, and is the newest of that identity in their queues.
QueueState::WaiterId QueueState::successor_of(WaiterId id, const Waiter& waiter) const {
  for (const Queue* queue : waiter.queues) {
    auto same = queue->identities.find(waiter.identity);
    if (same != queue->identities.end() && waiters_.at(same->second).succeeds == id) return same->second;
  }
  return 0;
}

// If another waiter succeeds it: hands its entries on, if it has them; else tells the other one to join.
void QueueState::hand_on(WaiterId id, Waiter& waiter, bool with_entries) {
  if (!waiter.superseded || waiter.identity.empty()) return;
  WaiterId newer_id = successor_of(id, waiter);
  if (newer_id == 0) return;
  Waiter& newer = waiters_.at(newer_id);
  newer.succeeds = 0;
  if (with_entries && waiter.state == State::in_queue && !waiter.name.empty()) {
    unname(newer_id, newer);
    newer.name = std::exchange(waiter.name, {});
    by_name_[newer.name] = newer_id;
    newer.revision = waiter.revision;
    newer.order = waiter.order;
    newer.asked = waiter.asked;
    newer.unsure = waiter.unsure;
    newer.state = State::in_queue;
    auto queues = newer.queues;
    for (Queue* its : queues) check_entry(*its, newer_id);
    look_over_all_of(queues);
  } else {
    newer.state = State::loading;
    tell_join(newer_id, newer);
  }
}

// Tells the waiter to join once all of its queues are known, since an entry of its identity may stand there to be taken
// over. If its client may have come back from another server, the queues must have been read after it came.
void QueueState::tell_join(WaiterId id, Waiter& waiter) {
  if (waiter.state != State::loading || waiter.superseded) return;
  if (!std::ranges::all_of(waiter.queues, [](const Queue* queue) { return queue->loaded; })) return;
  auto theirs = entry_to_take_over(waiter);
  if (!theirs && waiter.back == Back::from_anywhere && !has_read(waiter)) return;
  if (theirs) {
    unname(id, waiter);
    waiter.name = theirs->first.name;
    waiter.order = std::move(theirs->first);
    waiter.expected = theirs->second;
    by_name_[waiter.name] = id;
  }
  waiter.state = State::joining;
  effects_.emplace_back(Wake{id, Step::join});
}

// Whether all of its queues were read after it came; if not, they will be. Waiters that come together share one read.
bool QueueState::has_read(const Waiter& waiter) {
  bool all = true;
  for (Queue* queue : waiter.queues) {
    if (queue->load_done > waiter.came_after) continue;
    all = false;
    if (!queue->loading) {
      begin_load(*queue);
    } else if (queue->load <= waiter.came_after) {
      queue->load_more = true;
    }
  }
  return all;
}

// The entries of its identity in all of its queues, if they belong to one waiter of another server, for the same locks.
std::optional<std::pair<QueueState::Order, Revision>> QueueState::entry_to_take_over(const Waiter& waiter) const {
  std::optional<std::pair<Order, Revision>> theirs;
  if (waiter.identity.empty()) return theirs;
  for (const Queue* queue : waiter.queues) {
    auto other = queue->latest.find(waiter.identity);
    if (other == queue->latest.end()) return std::nullopt;
    const EntryView& entry = queue->entries.find(*other->second)->second;
    std::pair found{*other->second, entry.revision};
    bool same = !entry.ours && entry.parts == waiter.queues.size() && (!theirs || *theirs == found);
    if (!same) return std::nullopt;
    theirs = std::move(found);
  }
  return theirs;
}

// Whether another server has an entry of its identity that was first put after its own: that request is the newer one
// (R26), even if its own entry has been lost since. An entry that was lost and joined again counts from when it was
// first put.
bool QueueState::has_come_elsewhere(const Queue& queue, const Waiter& waiter) {
  if (waiter.asked == kAbsent || waiter.identity.empty()) return false;
  auto latest = queue.latest.find(waiter.identity);
  if (latest == queue.latest.end()) return false;
  const EntryView& entry = queue.entries.find(*latest->second)->second;
  return entry.asked > waiter.asked && !entry.ours;
}

// Whether `one` is the newer of two entries of one identity.
bool QueueState::is_later(const Queue& queue, const Order& one, const Order& other) {
  Revision asked = queue.entries.find(one)->second.asked;
  Revision others = queue.entries.find(other)->second.asked;
  return asked == others ? other < one : others < asked;
}

}  // namespace sharedlock
