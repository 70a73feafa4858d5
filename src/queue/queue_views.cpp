// How QueueState follows the store: what stands under the locks and in their queues.
#include <algorithm>

#include "queue/queue_state.h"

namespace sharedlock {

namespace {

constexpr std::chrono::seconds kLoadAgain{1};

}  // namespace

// An entry of ours without a waiter is erased, and again whenever it appears after that.
void QueueState::remove_orphan(Queue& queue, const std::string& name, Revision revision) {
  auto [at, is_new] = queue.removed.try_emplace(name, kNotYet);
  if (!is_new && (at->second == kNotYet || revision <= at->second)) return;
  at->second = kNotYet;
  auto seen = revision == kNotYet ? std::nullopt : std::optional(revision);
  effects_.emplace_back(Remove{key_of(queue, name), seen});
}

void QueueState::removed(const std::string& key, Revision as_of) {
  std::size_t slash = key.rfind('/');
  auto found = by_prefix_.find(key.substr(0, slash + 1));
  if (found == by_prefix_.end()) return;
  Queue& queue = *found->second;
  std::string name = key.substr(slash + 1);
  const EntryView* entry = entry_at(queue, name);
  if (!entry && queue.queue_as_of >= as_of) {
    queue.removed.erase(name);
    return;
  }
  queue.removed[name] = as_of;
  if (entry && entry->ours && !by_name_.contains(name)) remove_orphan(queue, name, entry->revision);
}

void QueueState::not_removed(const std::string& key, const Entry& entry) {
  std::size_t slash = key.rfind('/');
  auto found = by_prefix_.find(key.substr(0, slash + 1));
  std::string name = key.substr(slash + 1);
  bool is_orphan = see_entry_(entry).server == server_ && !by_name_.contains(name);
  if (found != by_prefix_.end()) {
    found->second->removed.erase(name);
    if (is_orphan) remove_orphan(*found->second, name, entry.revision);
  } else if (is_orphan) {
    effects_.emplace_back(Remove{key, entry.revision});
  }
}

void QueueState::changed(const ChangeBatch& batch) {
  std::vector<Queue*> touched;
  for (const Change& change : batch.changes) {
    Queue* queue = find(change.key);
    if (!queue) {
      auto prefix = by_prefix_.find(change.key.substr(0, change.key.rfind('/') + 1));
      if (prefix == by_prefix_.end()) continue;
      queue = prefix->second;
    }
    if (queue->loading) queue->meanwhile.emplace_back(batch.revision, change);
    if (apply(*queue, batch.revision, change)) touched.push_back(queue);
  }
  for (Queue* queue : touched) look_over(*queue);
}

// False: nothing changed on which any waiter's turn depends.
bool QueueState::apply(Queue& queue, Revision revision, const Change& change) {
  if (change.key == queue.part.lock) return learn_lock(queue, change.now, revision);
  if (revision <= queue.loaded_as_of) return true;
  queue.queue_as_of = std::max(queue.queue_as_of, revision);
  std::string name = change.key.substr(queue.part.queue.size());
  if (change.now) {
    put_entry(queue, name, *change.now);
  } else {
    drop_entry(queue, name);
  }
  return true;
}

// A renewed entry of the lease API is put again: only its revision and the lease that it hangs on change.
bool QueueState::learn_lock(Queue& queue, const std::optional<Entry>& entry, Revision as_of) {
  if (as_of <= queue.lock_as_of) return true;
  queue.lock_as_of = as_of;
  bool same = entry && queue.lock && entry->revision == queue.lock->revision;
  if (same) return true;
  bool stays = entry && queue.lock && entry->created == queue.lock->created && entry->value == queue.lock->value;
  queue.lock = entry;
  LockSight sight = entry ? see_lock_(*entry) : LockSight();
  bool only_renewed = stays && sight.holder == queue.sight.holder && !sight.look_again;
  queue.sight = std::move(sight);
  queue.look_at = queue.sight.look_again;
  set_due(queue);
  return !only_renewed;
}

void QueueState::put_entry(Queue& queue, const std::string& name, const Entry& entry) {
  erase_entry(queue, name);
  EntrySight sight = see_entry_(entry);
  bool ours = sight.server == server_;
  Revision asked = sight.since == kAbsent ? entry.revision : sight.since;
  EntryView view{entry.revision, sight.waiter, ours, sight.parts, asked};
  auto added = queue.entries.insert({Order{entry.created, name}, std::move(view)}).first;
  const Order& order = added->first;
  queue.by_name[order.name] = &order;
  auto waiter = by_name_.find(name);
  if (!sight.waiter.empty()) {
    const Order*& latest = queue.latest.try_emplace(sight.waiter, &order).first->second;
    if (is_later(queue, order, *latest)) latest = &order;
    auto same = queue.identities.find(sight.waiter);
    bool another = same != queue.identities.end() && (waiter == by_name_.end() || waiter->second != same->second);
    if (another) {
      const Waiter& older = waiters_.at(same->second);
      auto own = queue.by_name.find(older.name);
      // Of the requests at this server the newest is known without their entries, which may be put in another order.
      bool later = !ours && own != queue.by_name.end() && is_later(queue, order, *own->second);
      if (later || has_come_elsewhere(queue, older)) supersede(same->second);
    }
  }
  if (waiter != by_name_.end()) {
    check_entry(queue, waiter->second);
  } else if (ours) {
    remove_orphan(queue, name, entry.revision);
  }
}

void QueueState::drop_entry(Queue& queue, const std::string& name) {
  erase_entry(queue, name);
  auto removed = queue.removed.find(name);
  if (removed != queue.removed.end() && removed->second != kNotYet) queue.removed.erase(removed);
  auto waiter = by_name_.find(name);
  if (waiter != by_name_.end()) check_entry(queue, waiter->second);
}

void QueueState::erase_entry(Queue& queue, const std::string& name) {
  auto at = queue.by_name.find(name);
  if (at == queue.by_name.end()) return;
  auto entry = queue.entries.find(*at->second);
  auto latest = queue.latest.find(entry->second.identity);
  if (latest != queue.latest.end() && latest->second == at->second) queue.latest.erase(latest);
  queue.by_name.erase(at);
  queue.entries.erase(entry);
}

const QueueState::EntryView* QueueState::entry_at(const Queue& queue, const std::string& name) {
  auto at = queue.by_name.find(name);
  return at == queue.by_name.end() ? nullptr : &queue.entries.find(*at->second)->second;
}

// Checks that its entry is still there and its own. While it acts, the answer of its commit says that. A waiter with
// its client away does not join again.
void QueueState::check_entry(const Queue& queue, WaiterId id) {
  Waiter& waiter = waiters_.at(id);
  bool has_entry = waiter.state == State::in_queue || waiter.state == State::gone || waiter.state == State::away;
  if (!has_entry || waiter.acting || waiter.superseded) return;
  if (!queue.loaded || queue.queue_as_of < waiter.revision) return;
  const EntryView* entry = entry_at(queue, waiter.name);
  bool is_taken_over = entry && !entry->ours && entry->revision > waiter.revision;
  if (is_taken_over) {
    if (waiter.queues.size() == 1) lose_name(id, waiter);
    supersede(id);
  } else if (has_come_elsewhere(queue, waiter)) {
    supersede(id);
  } else if (!entry && waiter.state == State::away) {
    if (waiter.queues.size() == 1) lose_name(id, waiter);
    left(id);
  } else if (!entry) {
    lose(id, waiter);
  }
}

BootTime QueueState::next_due() const {
  BootTime due = due_.empty() ? BootTime::max() : due_.begin()->first;
  return kept_.empty() ? due : std::min(due, kept_.begin()->first);
}

void QueueState::set_due(Queue& queue) {
  BootTime due = BootTime::max();
  if (!queue.idle_head.empty()) due = queue.idle_until;
  auto sooner = [&](const std::optional<BootTime>& time) { due = time ? std::min(due, *time) : due; };
  sooner(queue.look_at);
  sooner(queue.load_at);
  if (queue.waiters.empty() && !queue.loading) due = std::min(due, queue.kept_until);
  if (due == queue.due) return;
  if (queue.due != BootTime::max()) due_.erase({queue.due, queue.part.lock});
  queue.due = due;
  if (due != BootTime::max()) due_.emplace(due, queue.part.lock);
}

void QueueState::advance(BootTime now) {
  now_ = std::max(now_, now);
  while (!kept_.empty() && kept_.begin()->first <= now_) left(kept_.begin()->second);
  while (!due_.empty() && due_.begin()->first <= now_) {
    auto next = due_.extract(due_.begin());
    Queue& queue = queues_.at(next.value().second);
    queue.due = BootTime::max();
    on_due(queue);
  }
}

void QueueState::on_due(Queue& queue) {
  // Not during a read: its result would be taken for that of a new queue of the same name.
  if (queue.waiters.empty() && !queue.loading && queue.kept_until <= now_) {
    by_prefix_.erase(queue.part.queue);
    queues_.erase(std::string(queue.part.lock));
    return;
  }
  if (queue.load_at && *queue.load_at <= now_) begin_load(queue);
  if (!queue.idle_head.empty() && queue.idle_until <= now_) {
    queue.idle_until = now_ + kIdle;
    auto waiter = by_name_.find(queue.idle_head);
    if (waiter == by_name_.end()) {
      const EntryView* entry = entry_at(queue, queue.idle_head);
      if (entry) effects_.emplace_back(Evict{queue.part, key_of(queue, queue.idle_head), entry->revision});
    } else {
      const Waiter& first = waiters_.at(waiter->second);
      if (first.state == State::away && may_take(first)) left(waiter->second);
    }
  }
  if (queue.look_at && *queue.look_at <= now_) {
    // For the first in the queue, if it is one of our waiters.
    queue.look_at = now_ + kIdle;
    auto head = queue.entries.empty() ? by_name_.end() : by_name_.find(queue.entries.begin()->first.name);
    if (queue.lock && head != by_name_.end()) tell(head->second, waiters_.at(head->second), Step::look);
  }
  set_due(queue);
}

void QueueState::reset() {
  for (auto& [lock, queue] : queues_) {
    queue.loaded = false;
    queue.idle_head.clear();  // which entry is the head, if there is any, is known again once the queue is read
    if (queue.loading) {
      queue.load_again = true;
    } else {
      begin_load(queue);
    }
    set_due(queue);
  }
}

void QueueState::loaded(const std::string& lock, const Found& found, const Listing& listing) {
  Queue* queue = find(lock);
  if (!queue || !queue->loading) return;
  if (queue->load_again) {
    begin_load(*queue);
    return;
  }
  queue->loading = false;
  queue->loaded = true;
  queue->load_done = queue->load;
  learn_lock(*queue, found.entry, found.as_of);
  take_listing(*queue, listing);
  if (queue->load_more) begin_load(*queue);
  auto waiters = queue->waiters;
  for (WaiterId id : waiters) {
    auto waiter = waiters_.find(id);
    if (waiter == waiters_.end()) continue;
    if (waiter->second.state == State::loading) {
      tell_join(id, waiter->second);
    } else {
      check_entry(*queue, id);
    }
  }
  look_over(*queue);
}

// Takes what was read, with what has changed meanwhile. What was known already is left as it is.
void QueueState::take_listing(Queue& queue, const Listing& listing) {
  std::map<std::string_view, const Entry*> stands;
  std::size_t prefix = queue.part.queue.size();
  for (const auto& [key, entry] : listing.entries) stands[std::string_view(key).substr(prefix)] = &entry;
  Revision as_of = listing.as_of;
  auto meanwhile = std::exchange(queue.meanwhile, {});
  for (const auto& [revision, change] : meanwhile) {
    if (change.key == queue.part.lock) {
      learn_lock(queue, change.now, revision);
    } else if (revision > listing.as_of) {
      as_of = std::max(as_of, revision);
      stands[std::string_view(change.key).substr(prefix)] = change.now ? &*change.now : nullptr;
    }
  }
  queue.loaded_as_of = listing.as_of;
  queue.queue_as_of = as_of;
  std::erase_if(stands, [](const auto& one) { return one.second == nullptr; });
  std::vector<std::string> gone;
  for (const auto& [name, order] : queue.by_name) {
    if (!stands.contains(name)) gone.emplace_back(name);
  }
  for (const std::string& name : gone) drop_entry(queue, name);
  std::erase_if(queue.removed, [&](const auto& one) { return one.second <= as_of && !stands.contains(one.first); });
  for (const auto& [name, entry] : stands) {
    const EntryView* known = entry_at(queue, std::string(name));
    if (!known || known->revision != entry->revision) put_entry(queue, std::string(name), *entry);
  }
}

void QueueState::load_failed(const std::string& lock) {
  Queue* queue = find(lock);
  if (!queue || !queue->loading) return;
  queue->loading = false;
  queue->load_at = now_ + kLoadAgain;
  set_due(*queue);
}

void QueueState::look_after(const QueuePart& part) {
  set_due(queue_for(part));
}

}  // namespace sharedlock
