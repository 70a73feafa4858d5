// What WaitQueues does in the background: keeps time, reads queues, puts entries again, erases entries.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <limits>
#include <utility>

#include "base/use_task.h"
#include "queue/wait_queues.h"

namespace sharedlock {

namespace {

// One commit's worth: etcd takes at most 128 operations by default, of which each entry may need two.
constexpr std::size_t kAtOnce = 32;

constexpr std::chrono::seconds kLastTry{1};

}  // namespace

Task<void> WaitQueues::keep_time() {
  auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, use_task);  // begin() spawned this with the lock held
  auto time = time_;
  for (;;) {
    BootTime due{};
    {
      std::scoped_lock lock(mutex_);
      if (stopping_) co_return;
      queue_state_.advance(clock_.boot_now());
      carry_out();
      due = alarm_ = queue_state_.next_due();
    }
    co_await time->wait(time_left(clock_, Deadline(due)));
  }
}

// Works until nothing is left.
Task<void> WaitQueues::work() {
  auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, use_task);  // spawned with the lock held
  for (;;) {
    auto chore = take_chore();
    if (!chore) co_return;
    co_await std::move(*chore);
  }
}

std::optional<Task<void>> WaitQueues::take_chore() {
  std::scoped_lock lock(mutex_);
  if (!stopping_) {
    if (rejoin_due_ && !rejoining_) {
      rejoining_ = true;
      rejoin_due_ = false;
      return rejoin();
    }
    if (!loads_.empty()) {
      QueuePart part = std::move(loads_.front());
      loads_.pop_front();
      return load(std::move(part));
    }
    if (!removes_.empty()) return remove(take_removes(), soon());
    if (!evicts_.empty()) {
      QueueState::Evict head = std::move(evicts_.front());
      evicts_.pop_front();
      return evict(std::move(head));
    }
  }
  // What is left to erase at the end is tried once; what stays ends with the session.
  if (stopping_ && !removes_.empty()) return remove(take_removes(), Deadline(clock_.boot_now() + kLastTry));
  --workers_;
  return std::nullopt;
}

// Lock held. A batch from the front: entries with known revisions only, or entries that have to be looked for only.
std::vector<QueueState::Remove> WaitQueues::take_removes() {
  std::vector<QueueState::Remove> some;
  bool known = removes_.front().revision.has_value();
  for (auto next = removes_.begin(); next != removes_.end() && some.size() < kAtOnce;) {
    if (next->revision.has_value() != known) break;
    bool is_new = std::ranges::find(some, next->entry, &QueueState::Remove::entry) == some.end();
    if (is_new) some.push_back(std::move(*next));
    next = removes_.erase(next);
  }
  return some;
}

Task<void> WaitQueues::load(QueuePart part) {
  auto found = co_await store_.get(part.lock, soon());
  Result<Listing> entries = Listing();
  if (found) entries = co_await store_.list(part.queue, "", std::numeric_limits<std::int32_t>::max(), soon());
  std::scoped_lock lock(mutex_);
  queue_state_.advance(clock_.boot_now());
  if (found && entries) {
    queue_state_.loaded(part.lock, *found, *entries);
  } else {
    queue_state_.load_failed(part.lock);
  }
  carry_out();
}

// One commit after the other, in order: a waiter that could not join is again taken before those behind it.
Task<void> WaitQueues::rejoin() {
  for (;;) {
    std::vector<QueueState::WaiterId> lost;
    {
      std::scoped_lock lock(mutex_);
      if (!stopping_) lost = queue_state_.take_lost(kAtOnce);
      if (lost.empty()) {
        rejoining_ = false;
        co_return;
      }
    }
    co_await rejoin_together(std::move(lost));
  }
}

// Repeated until an answer comes, under the same names: so the entries of an unanswered try are found, if it happened.
// (Under new names they would be erased, and all would join once more, behind waiters that came meanwhile.)
Task<void> WaitQueues::rejoin_together(std::vector<QueueState::WaiterId> lost) {
  for (;;) {
    Transaction transaction;
    std::vector<Joining> together;
    {
      std::scoped_lock lock(mutex_);
      for (QueueState::WaiterId id : lost) {
        auto waiter = waiters_.find(id);
        if (waiter != waiters_.end()) together.push_back(put_join(transaction, *waiter->second));
      }
      if (together.empty() || stopping_) co_return;
    }
    auto outcome = co_await store_.commit(std::move(transaction), soon());
    // Also after a lost race: what is there is known only once the watch has told it.
    bool done = outcome && std::holds_alternative<Committed>(*outcome);
    if (!done) co_await pause(kRest);
    if (!outcome && outcome_unknown(outcome.error().code)) continue;
    std::scoped_lock lock(mutex_);
    queue_state_.advance(clock_.boot_now());
    for (const Joining& joining : together) {
      auto stands = outcome ? stands_at(*outcome, joining) : std::nullopt;
      if (stands) {
        queue_state_.joined(joining.waiter, *stands);
      } else {
        queue_state_.not_joined(joining.waiter);
      }
    }
    carry_out();
    co_return;
  }
}

// Tried until an answer comes: the entry of a waiter that is gone would hold up all behind it. Erases only what stands
// there as it was known: an entry that another server has taken over is that server's.
Task<void> WaitQueues::remove(std::vector<QueueState::Remove> entries, Deadline until) {
  Transaction transaction;
  for (const QueueState::Remove& one : entries) {
    transaction.expect.push_back({one.entry, one.revision.value_or(kNever)});
    if (one.revision) transaction.changes.emplace_back(Erase{one.entry});
  }
  auto outcome = co_await store_.commit(std::move(transaction), until);
  if (!outcome) co_await pause(kRest);
  std::scoped_lock lock(mutex_);
  queue_state_.advance(clock_.boot_now());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!outcome && stopping_) break;
    if (!outcome) {
      removes_.push_back(std::move(entries[i]));
    } else if (auto* committed = std::get_if<Committed>(&*outcome)) {
      queue_state_.removed(entries[i].entry, committed->revision);
    } else {
      auto& conflict = std::get<Conflict>(*outcome);
      const auto& stands = conflict.current[i];
      if (stands) queue_state_.not_removed(entries[i].entry, *stands);
      if (!stands) queue_state_.removed(entries[i].entry, conflict.as_of);
    }
  }
  carry_out();
}

// R23: a waiter for several locks is an obstacle only if all of them are free and it is first in all their queues.
Task<void> WaitQueues::evict(QueueState::Evict head) {
  auto found = co_await store_.get(head.entry, soon());
  if (!found || !found->entry || found->entry->revision != head.revision) co_return;
  auto entry = parse_queue_entry(found->entry->value);
  Transaction transaction;
  std::string name = head.entry.substr(head.part.queue.size());
  std::vector<QueuePart> parts;
  if (entry) {
    for (const std::string& waited : entry->names) parts.push_back(options_.part_of(waited));
  }
  if (parts.empty()) parts.push_back(head.part);
  for (const QueuePart& part : parts) {
    auto queue = co_await store_.list(part.queue, "", std::numeric_limits<std::int32_t>::max(), soon());
    if (!queue) co_return;
    auto first = std::ranges::min_element(
        queue->entries, {}, [](const KeyedEntry& one) { return std::pair(one.second.created, one.first); });
    if (first == queue->entries.end() || first->first != part.queue + name) co_return;
    // Another server has taken the entry over since: now that server is to act.
    if (first->second.revision != head.revision) co_return;
    transaction.expect.push_back({part.lock, kAbsent});
    transaction.expect.push_back({first->first, first->second.revision});
    transaction.changes.emplace_back(Erase{first->first});
  }
  auto outcome = co_await store_.commit(std::move(transaction), soon());
  if (outcome && std::holds_alternative<Committed>(*outcome)) {
    log_.write(LogLevel::warn, "a waiter of another server did nothing with a free lock and lost its place",
               {{"place", head.entry}});
  }
}

Task<void> WaitQueues::pause(std::chrono::milliseconds span) {
  auto executor = co_await asio::this_coro::executor;
  AsyncEvent never(executor);
  co_await never.wait(span);
}

}  // namespace sharedlock
