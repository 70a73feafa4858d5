// The invariants of QueueState. Of what a waiter that was superseded has left behind, less is certain: its
// name and its turn may be a newer waiter's by now.
#include <algorithm>

#include "base/check.h"
#include "queue/queue_state.h"

namespace sharedlock {

void QueueState::check_invariants() const {
  std::size_t due = 0;
  for (const auto& [lock, queue] : queues_) {
    check_invariant(queue.part.lock == lock, "queues: a queue is found under another lock");
    auto by_prefix = by_prefix_.find(queue.part.queue);
    bool is_found = by_prefix != by_prefix_.end() && by_prefix->second == &queue;
    check_invariant(is_found, "queues: a queue is not found by its prefix");
    check_entries(queue);
    check_waiters(queue);
    check_due(queue);
    if (queue.due != BootTime::max()) ++due;
  }
  check_invariant(by_prefix_.size() == queues_.size(), "queues: a prefix leads to a queue that is gone");
  check_invariant(due_.size() == due, "queues: something is due of a queue that does not know it");
  for (const auto& [id, waiter] : waiters_) check_waiter(id, waiter);
  for (const auto& [name, id] : by_name_) {
    auto waiter = waiters_.find(id);
    bool has_it = waiter != waiters_.end() && waiter->second.name == name;
    check_invariant(has_it, "queues: a name leads to a waiter that does not have it");
  }
  check_states();
}

// What a check visits.
std::size_t QueueState::elements() const {
  std::size_t all = waiters_.size() + queues_.size();
  for (const auto& [lock, queue] : queues_) all += queue.entries.size();
  return all;
}

// The indexes of a queue's entries.
void QueueState::check_entries(const Queue& queue) {
  std::size_t place = 0;
  std::size_t latest_ones = 0;
  for (const auto& [order, entry] : queue.entries) {
    auto named = queue.by_name.find(order.name);
    bool is_found = named != queue.by_name.end() && named->second == &order && named->first.data() == order.name.data();
    check_invariant(is_found, "queues: an entry is not found by its name");
    check_invariant(queue.entries.order_of_key(order) == place, "queues: an entry is counted at another place");
    auto latest = queue.latest.find(entry.identity);
    bool is_latest = latest != queue.latest.end() && latest->second == &order;
    check_invariant(!is_latest || !entry.identity.empty(), "queues: an anonymous waiter has a newest entry");
    if (is_latest) ++latest_ones;
    ++place;
  }
  check_invariant(queue.by_name.size() == place, "queues: a name leads to an entry that is gone");
  check_invariant(queue.latest.size() == latest_ones, "queues: the newest entry of an identity is gone or another's");
  check_invariant(queue.loaded_as_of <= queue.queue_as_of, "queues: a queue is older than it was when it was read");
}

void QueueState::check_waiters(const Queue& queue) const {
  for (WaiterId id : queue.waiters) {
    auto waiter = waiters_.find(id);
    bool waits =
        waiter != waiters_.end() && std::ranges::find(waiter->second.queues, &queue) != waiter->second.queues.end();
    check_invariant(waits, "queues: a queue has a waiter that does not wait there");
  }
  for (const auto& [identity, id] : queue.identities) {
    auto waiter = waiters_.find(id);
    bool is_its = waiter != waiters_.end() && !identity.empty() && waiter->second.identity == identity;
    check_invariant(is_its && queue.waiters.contains(id), "queues: an identity leads to another waiter");
  }
}

// Nothing is missed: what is to happen by time alone is due by then, and what is not known is being read, or will be.
void QueueState::check_due(const Queue& queue) const {
  bool is_listed = queue.due == BootTime::max() || due_.contains({queue.due, queue.part.lock});
  check_invariant(is_listed, "queues: what is due is not listed");
  auto in_time = [&](const std::optional<BootTime>& time) { return !time || queue.due <= *time; };
  check_invariant(in_time(queue.look_at), "queues: a look at a holder is missed");
  check_invariant(in_time(queue.load_at), "queues: a read is missed");
  bool is_over = queue.waiters.empty() && !queue.loading;
  check_invariant(!is_over || queue.due <= queue.kept_until, "queues: a queue without waiters is kept for ever");
  check_invariant(queue.loaded || queue.loading || queue.load_at, "queues: a queue is never read");
  if (queue.idle_head.empty()) return;
  check_invariant(queue.due <= queue.idle_until, "queues: an idle head is never passed");
  bool is_head = queue.loaded && !queue.entries.empty() && queue.entries.begin()->first.name == queue.idle_head;
  check_invariant(is_head, "queues: what is taken for an idle head is not the head");
}

void QueueState::check_waiter(WaiterId id, const Waiter& waiter) const {
  for (const Queue* queue : waiter.queues) {
    check_invariant(queue->waiters.contains(id), "queues: a waiter is unknown to a queue in which it waits");
    if (waiter.superseded || waiter.identity.empty()) continue;
    auto same = queue->identities.find(waiter.identity);
    bool is_found = same != queue->identities.end() && same->second == id;
    check_invariant(is_found, "queues: a waiter is not found by its identity");
  }
  check_invariant(!waiter.acting || waiter.state == State::in_queue, "queues: a waiter without an entry acts");
  bool takes_over = waiter.expected != kAbsent;
  check_invariant(!takes_over || waiter.state == State::joining, "queues: a waiter that does not join takes over");
  bool succeeds = waiter.state == State::succeeding;
  check_invariant(succeeds == (waiter.succeeds != 0), "queues: a waiter succeeds nobody, or does not wait for that");
  if (waiter.superseded) return;
  auto named = by_name_.find(waiter.name);
  check_invariant(named != by_name_.end() && named->second == id, "queues: a waiter is not found by its name");
  if (!succeeds) return;
  auto older = waiters_.find(waiter.succeeds);
  bool will_hand_on = older != waiters_.end() && older->second.superseded;
  check_invariant(will_hand_on, "queues: a waiter succeeds one that will not hand on its entry");
}

// The waiters that lost their entries, and those that are kept while their clients are away.
void QueueState::check_states() const {
  for (const auto& [order, id] : lost_) {
    auto waiter = waiters_.find(id);
    bool is_lost = waiter != waiters_.end() && waiter->second.state == State::lost && waiter->second.order == order;
    check_invariant(is_lost && !waiter->second.superseded,
                    "queues: a waiter is to join again that has not lost an entry");
  }
  for (const auto& [until, id] : kept_) {
    auto waiter = waiters_.find(id);
    bool is_away =
        waiter != waiters_.end() && waiter->second.state == State::away && waiter->second.kept_until == until;
    check_invariant(is_away, "queues: an entry is kept for a client that is not away");
  }
  auto lost = [](const auto& one) { return one.second.state == State::lost && !one.second.superseded; };
  auto away = [](const auto& one) { return one.second.state == State::away; };
  auto number = [](std::ptrdiff_t count) { return static_cast<std::size_t>(count); };
  check_invariant(number(std::ranges::count_if(waiters_, lost)) == lost_.size(), "queues: a lost entry is forgotten");
  check_invariant(number(std::ranges::count_if(waiters_, away)) == kept_.size(), "queues: an entry is kept for ever");
  check_invariant(kept_.size() <= kMostKept, "queues: too many entries are kept");
}

}  // namespace sharedlock
