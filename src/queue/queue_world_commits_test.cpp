// What the servers of a scene send to the store, when they are told to act, and what is made of the answers.
#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "queue/queue_world_test.h"

namespace sharedlock::scenes {

void World::carry_out(std::size_t s) {
  QueueState& queue_state = *servers_[s].queue_state;
  for (auto effects = queue_state.take_effects(); !effects.empty(); effects = queue_state.take_effects()) {
    for (const auto& effect : effects) carry_out(s, effect);
  }
}

void World::carry_out(std::size_t s, const QueueState::Effect& effect) {
  QueueState& queue_state = *servers_[s].queue_state;
  if (auto* wake = std::get_if<QueueState::Wake>(&effect)) {
    Client& client = client_of(s, wake->waiter);
    if (client.id != wake->waiter) return;
    if (client.state == ClientState::away) {
      if (client.kept) fault_ = scene_.clients[index_of(s, wake->waiter)].name + " is away, and is told to act";
      if (wake->step == QueueState::Step::superseded) client.state = ClientState::gone;
      return;
    }
    if (wake->step == QueueState::Step::superseded && client.is_newest && client.state == ClientState::waiting) {
      fault_ = scene_.clients[index_of(s, wake->waiter)].name + " is told of a newer request, and there is none";
    }
    if (client.state == ClientState::gone || wake->step == QueueState::Step::superseded) {
      client.state = ClientState::gone;
      bool busy = std::ranges::any_of(
          ops_, [&](const Op& op) { return op.server == s && op.waiter == wake->waiter && op.kind != 'J'; });
      if (!busy) queue_state.left(wake->waiter);
    } else if (wake->step == QueueState::Step::join) {
      ops_.push_back(join_op('j', s, wake->waiter));
    } else {
      Op op = take_op(s, wake->waiter, {});
      op.retake = wake->step == QueueState::Step::retake;
      bool takes_free = std::ranges::any_of(op.locks, [&](const auto& lock) { return !entries_.contains(lock); });
      if (op.retake && takes_free) {
        give_up(op, QueueState::EntryFate::there);
      } else {
        ops_.push_back(std::move(op));
      }
    }
  } else if (auto* load = std::get_if<QueueState::Load>(&effect)) {
    ops_.push_back({.kind = 'l', .server = s, .part = load->part});
  } else if (auto* remove = std::get_if<QueueState::Remove>(&effect)) {
    Op op{.kind = 'r', .server = s, .entries = {remove->entry}};
    op.look = !remove->revision.has_value();
    if (remove->revision) op.expect.emplace_back(remove->entry, *remove->revision);
    ops_.push_back(std::move(op));
  } else if (auto* evict = std::get_if<QueueState::Evict>(&effect)) {
    ops_.push_back({.kind = 'e',
                    .server = s,
                    .expect = {{evict->part.lock, kAbsent}, {evict->entry, evict->revision}},
                    .entries = {evict->entry}});
  } else {
    for (auto id : queue_state.take_lost(1)) ops_.push_back(join_op('J', s, id));
  }
}

World::Op World::join_op(char kind, std::size_t s, QueueState::WaiterId id) {
  QueueState::Join join = servers_[s].queue_state->join_of(id);
  Op op{.kind = kind, .server = s, .waiter = id, .entries = join.entries};
  for (const std::string& entry : join.entries) op.expect.emplace_back(entry, join.expected);
  op.since = join.since;
  for (const QueueState::Left& left : join.left) {
    op.expect.emplace_back(left.entry, left.revision);
    op.left.push_back(left.entry);
  }
  return op;
}

World::Op World::take_op(std::size_t s, QueueState::WaiterId id, std::optional<bool> gone) {
  const Scene::Client& client = scene_.clients[index_of(s, id)];
  Op op{.kind = 't', .server = s, .waiter = id};
  for (const QueuePart& part : client.waits_for) {
    auto held = entries_.find(part.lock);
    bool mine = held != entries_.end() && held->second.value == client.name;
    op.expect.emplace_back(part.lock, mine ? held->second.revision : kAbsent);
    op.locks.push_back(part.lock);
  }
  QueueState::Join entries = servers_[s].queue_state->entries_of(id);
  if (gone.value_or(false)) return op;
  for (const std::string& entry : entries.entries) op.expect.emplace_back(entry, entries.expected);
  op.entries = entries.entries;
  return op;
}

void World::apply(Op& op) {
  op.applied = true;
  if (op.kind == 'l') {
    auto found = entries_.find(op.part.lock);
    op.found = Found{found == entries_.end() ? std::nullopt : std::optional(found->second), revision_};
    op.listing.as_of = revision_;
    for (const auto& [key, entry] : entries_) {
      if (key.starts_with(op.part.queue)) op.listing.entries.emplace_back(key, entry);
    }
    return;
  }
  op.won = holds(op) && !op.look;
  if (op.won && op.kind == 'e') evict_all(op);
  if (op.won && op.kind == 't') check_order(op);
  if (op.kind == 'r' && !op.won) {
    auto entry = entries_.find(op.entries.front());
    op.found = Found{entry == entries_.end() ? std::nullopt : std::optional(entry->second), revision_};
  }
  if (op.kind == 'j' || op.kind == 'J') {
    apply_join(op);
  } else if (op.won && op.kind == 't') {
    std::vector<std::pair<std::string, std::string>> puts;
    for (const std::string& lock : op.locks)
      puts.emplace_back(lock, scene_.clients[index_of(op.server, op.waiter)].name);
    change(puts, op.entries);
  } else if (op.won) {
    erase(op.entries);
  }
  op.at = op.stood.value_or(revision_);
}

void World::evict_all(Op& op) {
  const Entry& evicted = entries_.at(op.entries.front());
  std::string name = op.entries.front().substr(op.entries.front().find('/') + 1);
  if (see_entry(evicted).parts == 1) return;
  op.entries.clear();
  for (const QueuePart& part : {kPart, kOther}) {
    auto first = entries_.end();
    for (auto one = entries_.begin(); one != entries_.end(); ++one) {
      if (!one->first.starts_with(part.queue)) continue;
      bool before = first == entries_.end() ||
                    std::pair(one->second.created, one->first) < std::pair(first->second.created, first->first);
      if (before) first = one;
    }
    op.won &= !entries_.contains(part.lock) && first != entries_.end() && first->first == part.queue + name;
    op.entries.push_back(part.queue + name);
  }
}

void World::apply_join(Op& op) {
  const Scene::Client& client = scene_.clients[index_of(op.server, op.waiter)];
  std::string value = client.name + "@" + servers_[op.server].mark;
  if (op.entries.size() > 1) value += "#" + std::to_string(op.entries.size());
  if (op.since != kAbsent) value += "~" + std::to_string(number_of(op.since));
  if (op.won) {
    const std::string& entry = clients_[index_of(op.server, op.waiter)].entry;
    bool is_its_own = std::ranges::find(op.entries, entry) != op.entries.end();
    if (entries_.contains(entry) && !is_its_own) fault_ = client.name + " has come back and lost its entry";
    std::vector<std::pair<std::string, std::string>> puts;
    for (const std::string& one : op.entries) puts.emplace_back(one, value);
    change(puts, op.left);
  } else {
    // The entries may be there by an earlier try that had no answer.
    auto is_there = [&](const std::string& one) {
      auto entry = entries_.find(one);
      return entry != entries_.end() && entry->second.value == value;
    };
    if (std::ranges::all_of(op.entries, is_there)) op.stood = revision_of(op.entries.front());
  }
}

void World::check_order(const Op& op) {
  for (const std::string& mine : op.entries) {
    const Entry& entry = entries_.at(mine);
    std::string queue = mine.substr(0, mine.rfind('/') + 1);
    std::string lock = queue == kPart.queue ? kPart.lock : kOther.lock;
    if (entries_.contains(lock)) continue;
    for (const auto& [key, other] : entries_) {
      bool before = std::pair(other.created, key) < std::pair(entry.created, mine);
      if (key.starts_with(queue) && before) fault_ = mine + " overtook " + key;
    }
  }
}

void World::answer(std::size_t i, bool lost) {
  Op op = std::move(ops_[i]);
  ops_.erase(ops_.begin() + static_cast<std::ptrdiff_t>(i));
  lost_ += lost ? 1 : 0;
  QueueState& queue_state = *servers_[op.server].queue_state;
  if (op.kind == 'l') queue_state.loaded(op.part.lock, *op.found, op.listing);
  if (op.kind == 'r' && op.found && op.found->entry) {
    queue_state.not_removed(op.entries.front(), *op.found->entry);
  } else if (op.kind == 'r') {
    queue_state.removed(op.entries.front(), op.at);
  }
  bool again = op.kind == 'J' && lost;
  if (again && client_of(op.server, op.waiter).state == ClientState::waiting) {
    ops_.push_back(join_op('J', op.server, op.waiter));
  }
  if ((op.kind == 'j' || op.kind == 'J') && !again) {
    if ((op.won || op.stood) && !lost) {
      queue_state.joined(op.waiter, op.at);
      if (client_of(op.server, op.waiter).id == op.waiter) client_of(op.server, op.waiter).has_joined = true;
    } else {
      queue_state.not_joined(op.waiter, /*unanswered=*/lost);
    }
  }
  if (op.kind == 't') answer_take(op, lost);
  if (op.kind == 'j' || op.kind == 't') {
    Client& client = client_of(op.server, op.waiter);
    bool ended = client.id == op.waiter && !is_busy(index_of(op.server, op.waiter));
    if (ended && client.state == ClientState::gone) queue_state.left(op.waiter);
    if (ended && client.state == ClientState::away) {
      carry_out(op.server);
      if (client.state == ClientState::away) return keep(index_of(op.server, op.waiter));
      queue_state.left(op.waiter);
    }
  }
  carry_out(op.server);
}

void World::answer_take(const Op& op, bool lost) {
  QueueState& queue_state = *servers_[op.server].queue_state;
  Client& client = client_of(op.server, op.waiter);
  const std::string& name = scene_.clients[index_of(op.server, op.waiter)].name;
  if (op.won && !lost) {
    if (client.state == ClientState::waiting) client.state = ClientState::granted;
    queue_state.finished(op.waiter, op.at);
    return;
  }
  QueueState::Join entries = queue_state.entries_of(op.waiter);
  QueueState::EntryFate seen = QueueState::EntryFate::there;
  for (const std::string& one : entries.entries) {
    auto entry = entries_.find(one);
    if (entry == entries_.end() && seen == QueueState::EntryFate::there) seen = QueueState::EntryFate::gone;
    bool another = entry != entries_.end() && entry->second.revision != entries.expected;
    if (another) seen = QueueState::EntryFate::taken_over;
  }
  bool may_try = true;
  for (const std::string& lock : op.locks) {
    auto held = entries_.find(lock);
    bool mine = held != entries_.end() && held->second.value == name;
    may_try &= mine || (held == entries_.end() && seen == QueueState::EntryFate::there && !op.retake);
  }
  if (may_try && client.state != ClientState::gone) {
    ops_.push_back(take_op(op.server, op.waiter, seen != QueueState::EntryFate::there));
    ops_.back().retake = op.retake;
    return;
  }
  give_up(op, seen);
}

void World::give_up(const Op& op, QueueState::EntryFate seen) {
  QueueState& queue_state = *servers_[op.server].queue_state;
  for (const std::string& lock : op.locks) {
    auto held = entries_.find(lock);
    queue_state.saw(lock, held == entries_.end() ? std::nullopt : std::optional(held->second), revision_, std::nullopt);
  }
  queue_state.tried(op.waiter, seen);
}

}  // namespace sharedlock::scenes
