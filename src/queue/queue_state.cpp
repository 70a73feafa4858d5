#include "queue/queue_state.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

namespace sharedlock {

namespace {

// Long enough for an unanswered commit to show, or to become impossible.
constexpr std::chrono::seconds kKept{15};

}  // namespace

QueueState::QueueState(std::string server, SeeLock see_lock, SeeEntry see_entry)
    : server_(std::move(server)), see_lock_(std::move(see_lock)), see_entry_(std::move(see_entry)) {}

// Of fixed width, so that names with one revision sort in the order in which they were given (R25).
std::string QueueState::fresh_name() {
  std::array<char, 16> digits;
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), ++last_name_, 16).ptr;
  auto count = static_cast<std::size_t>(end - digits.data());
  return std::string(digits.size() - count, '0').append(digits.data(), count) + '-' + server_;
}

QueueState::Queue* QueueState::find(const std::string& lock) {
  auto queue = queues_.find(lock);
  return queue == queues_.end() ? nullptr : &queue->second;
}

QueueState::Queue& QueueState::queue_for(const QueuePart& part) {
  auto [at, is_new] = queues_.try_emplace(part.lock);
  Queue& queue = at->second;
  queue.kept_until = now_ + kKept;
  if (is_new) {
    queue.part = part;
    by_prefix_[part.queue] = &queue;
    begin_load(queue);
  }
  return queue;
}

void QueueState::begin_load(Queue& queue) {
  queue.loading = true;
  queue.load = ++last_load_;
  queue.load_again = false;
  queue.load_more = false;
  queue.load_at.reset();
  queue.meanwhile.clear();
  effects_.emplace_back(Load{queue.part});
}

QueueState::WaiterId QueueState::add(std::vector<QueuePart> parts, Identity identity, Back back) {
  WaiterId id = ++last_waiter_;
  Waiter waiter;
  waiter.identity = std::move(identity);
  waiter.back = back;
  waiter.came_after = last_load_;
  for (const QueuePart& part : parts) waiter.queues.push_back(&queue_for(part));

  std::set<WaiterId> before;
  for (Queue* queue : waiter.queues) {
    auto same = waiter.identity.empty() ? queue->identities.end() : queue->identities.find(waiter.identity);
    if (same != queue->identities.end()) before.insert(same->second);
  }
  for (WaiterId older_id : before) {
    Waiter& older = waiters_.at(older_id);
    if (older.queues == waiter.queues) succeed(older_id, older, waiter);
    supersede(older_id);
  }
  if (waiter.name.empty()) waiter.name = fresh_name();
  by_name_[waiter.name] = id;
  for (Queue* queue : waiter.queues) {
    queue->waiters.insert(id);
    if (!waiter.identity.empty()) queue->identities[waiter.identity] = id;
  }
  Waiter& added = waiters_.emplace(id, std::move(waiter)).first->second;
  if (added.state == State::in_queue) {
    auto queues = added.queues;
    for (Queue* queue : queues) check_entry(*queue, id);
    look_over_all_of(queues);
  } else {
    tell_join(id, added);
  }
  return id;
}

QueueState::Join QueueState::entries_of(WaiterId id) const {
  const Waiter& waiter = waiters_.at(id);
  Join join{.entries = {}, .expected = waiter.revision};
  for (const Queue* queue : waiter.queues) join.entries.push_back(key_of(*queue, waiter.name));
  return join;
}

void QueueState::saw(const std::string& lock, const std::optional<Entry>& entry, Revision as_of,
                     std::optional<BootTime> look_again) {
  Queue* queue = find(lock);
  if (!queue) return;
  learn_lock(*queue, entry, as_of);
  queue->look_at = look_again;
  set_due(*queue);
}

void QueueState::tried(WaiterId id, EntryFate entries) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  waiter.acting = false;
  if (entries != EntryFate::there) waiter.unsure = entries == EntryFate::unknown;
  if (entries == EntryFate::taken_over) {
    supersede(id);
    if (waiter.queues.size() == 1) lose_name(id, waiter);
  }
  if (waiter.superseded) {
    bool there = entries == EntryFate::there || entries == EntryFate::unknown;
    hand_on(id, waiter, there);
    return;
  }
  auto queues = waiter.queues;
  if (entries == EntryFate::gone && waiter.state == State::in_queue) waiter.state = State::gone;
  for (Queue* queue : queues) check_entry(*queue, id);
  look_over_all_of(queues);
}

void QueueState::finished(WaiterId id, Revision revision) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  for (Queue* queue : found->second.queues) {
    if (queue->queue_as_of < revision) queue->removed[found->second.name] = revision;
  }
  hand_on(id, found->second, /*with_entries=*/false);
  forget(id);
}

void QueueState::left(WaiterId id) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  hand_on(id, found->second, /*with_entries=*/true);
  remove_entries(found->second);
  forget(id);
}

// Erases the entries that it has, or may have.
void QueueState::remove_entries(const Waiter& waiter) {
  for (Queue* queue : waiter.queues) {
    const EntryView* left = joins_again(waiter) ? entry_left(*queue, waiter) : nullptr;
    if (left) remove_orphan(*queue, waiter.order.name, left->revision);
  }
  bool may_stand_there = !waiter.name.empty() && waiter.state != State::loading && waiter.state != State::succeeding;
  if (!may_stand_there) return;
  Revision revision = waiter.state == State::joining ? kNotYet : waiter.revision;
  for (Queue* queue : waiter.queues) remove_orphan(*queue, waiter.name, revision);
}

void QueueState::forget(WaiterId id) {
  auto node = waiters_.extract(id);
  const Waiter& waiter = node.mapped();
  unlose(id, waiter);
  if (waiter.state == State::away) kept_.erase({waiter.kept_until, id});
  unname(id, waiter);
  for (Queue* queue : waiter.queues) {
    queue->waiters.erase(id);
    auto same = queue->identities.find(waiter.identity);
    if (same != queue->identities.end() && same->second == id) queue->identities.erase(same);
    queue->kept_until = now_ + kKept;
    set_due(*queue);
  }
}

void QueueState::unname(WaiterId id, const Waiter& waiter) {
  auto named = by_name_.find(waiter.name);
  if (named != by_name_.end() && named->second == id) by_name_.erase(named);
}

void QueueState::lose_name(WaiterId id, Waiter& waiter) {
  unname(id, waiter);
  waiter.name.clear();
}

void QueueState::supersede(WaiterId id) {
  Waiter& waiter = waiters_.at(id);
  if (std::exchange(waiter.superseded, true)) return;
  unlose(id, waiter);
  if (waiter.state == State::away) return left(id);
  effects_.emplace_back(Wake{id, Step::superseded});
}

void QueueState::tell(WaiterId id, Waiter& waiter, Step step) {
  if (waiter.state != State::in_queue || waiter.acting || waiter.superseded) return;
  waiter.acting = true;
  effects_.emplace_back(Wake{id, step});
}

bool QueueState::is_first(const Queue& queue, const Waiter& waiter) const {
  return !queue.entries.empty() && queue.entries.begin()->first.name == waiter.name;
}

bool QueueState::is_holder(const Queue& queue, const Waiter& waiter) {
  return queue.lock && !waiter.identity.empty() && queue.sight.holder == waiter.identity;
}

bool QueueState::may_take(const Waiter& waiter) const {
  return std::ranges::all_of(waiter.queues, [&](const Queue* queue) {
    return queue->loaded && (is_holder(*queue, waiter) || (!queue->lock && is_first(*queue, waiter)));
  });
}

void QueueState::look_over_all_of(const std::vector<Queue*>& queues) {
  for (Queue* queue : queues) look_over(*queue);
}

void QueueState::look_over(Queue& queue) {
  if (!queue.loaded) return;
  if (queue.lock && !queue.sight.holder.empty()) {
    auto same = queue.identities.find(queue.sight.holder);
    if (same != queue.identities.end()) {
      WaiterId id = same->second;
      Waiter& waiter = waiters_.at(id);
      if (may_take(waiter)) tell(id, waiter, Step::retake);
      // Its client has come back elsewhere, and has what it waited for.
      if (waiter.state == State::away && may_take(waiter)) left(id);
    }
  }
  look_over_head(queue);
  set_due(queue);
}

void QueueState::look_over_head(Queue& queue) {
  std::string head;
  Revision revision{};
  auto idle = kIdle;
  if (!queue.lock && !queue.entries.empty()) {
    const auto& [order, entry] = *queue.entries.begin();
    revision = entry.revision;
    auto waiter = by_name_.find(order.name);
    if (waiter != by_name_.end()) {
      Waiter& first = waiters_.at(waiter->second);
      bool its_turn = may_take(first);
      if (its_turn) tell(waiter->second, first, Step::take);
      if (its_turn && first.state == State::away) {
        head = order.name;
        idle = kAwayAtHead;
      }
    } else if (!entry.ours) {
      head = order.name;
    }
  }
  if (head != queue.idle_head || revision != queue.idle_revision) queue.idle_until = now_ + idle;
  queue.idle_head = std::move(head);
  queue.idle_revision = revision;
}

bool QueueState::is_occupied(const std::string& lock) const {
  auto queue = queues_.find(lock);
  return queue != queues_.end() && queue->second.loaded && !queue->second.entries.empty();
}

std::optional<Entry> QueueState::holder_of(const std::string& lock) const {
  auto queue = queues_.find(lock);
  return queue == queues_.end() ? std::nullopt : queue->second.lock;
}

std::string QueueState::text() const {
  std::ostringstream out;
  std::map<std::string, const Queue*> queues;
  for (const auto& [lock, queue] : queues_) queues[lock] = &queue;
  for (const auto& [lock, queue] : queues) {
    out << lock << queue->loaded << queue->loading << queue->load_again << queue->meanwhile.size();
    out << (queue->lock ? number_of(queue->lock->revision) : 0) << ',' << number_of(queue->lock_as_of) << ','
        << number_of(queue->loaded_as_of) << ',' << number_of(queue->queue_as_of) << queue->idle_head
        << queue->load_more;
    if (!queue->idle_head.empty()) out << '!' << (queue->idle_until - now_).count();
    for (const auto& [revision, change] : queue->meanwhile) out << '~' << number_of(revision) << change.key;
    for (const auto& [order, entry] : queue->entries) {
      out << '[' << number_of(order.created) << order.name << number_of(entry.revision) << ']';
    }
    std::map<std::string, Revision> gone(queue->removed.begin(), queue->removed.end());
    for (const auto& [name, revision] : gone) out << '-' << name << number_of(revision);
  }
  std::map<WaiterId, const Waiter*> waiters;
  for (const auto& [id, waiter] : waiters_) waiters[id] = &waiter;
  for (const auto& [id, waiter] : waiters) {
    out << '(' << id << waiter->name << static_cast<int>(waiter->state) << number_of(waiter->revision) << ','
        << number_of(waiter->expected) << ',' << number_of(waiter->order.created) << waiter->order.name << ','
        << number_of(waiter->asked) << waiter->acting << waiter->superseded << waiter->succeeds << waiter->unsure
        << waiter->given_up;
    if (waiter->state == State::away) out << '!' << (waiter->kept_until - now_).count();
    // Which reads came after it, not their numbers.
    for (const Queue* queue : waiter->queues) {
      bool waits = waiter->back == Back::from_anywhere && waiter->state == State::loading;
      if (waits) out << (queue->load > waiter->came_after) << (queue->load_done > waiter->came_after);
    }
    out << ')';
  }
  return out.str();
}

std::size_t QueueState::ahead_of(WaiterId id) const {
  const Waiter& waiter = waiters_.at(id);
  std::size_t ahead = 0;
  for (const Queue* queue : waiter.queues) {
    auto entry = queue->by_name.find(waiter.name);
    if (entry != queue->by_name.end()) ahead = std::max(ahead, queue->entries.order_of_key(*entry->second));
  }
  return ahead;
}

std::vector<std::string> QueueState::blockers_of(WaiterId id) const {
  const Waiter& waiter = waiters_.at(id);
  std::vector<std::string> known;
  std::vector<std::string> all;
  for (const Queue* queue : waiter.queues) {
    bool is_next = queue->entries.empty() || is_first(*queue, waiter);
    bool blocks = !queue->loaded || (!is_holder(*queue, waiter) && (queue->lock || !is_next));
    if (blocks) known.push_back(queue->part.lock);
    all.push_back(queue->part.lock);
  }
  return known.empty() ? all : known;
}

}  // namespace sharedlock
