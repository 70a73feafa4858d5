// The part of LineBook that follows the store: what stands under the locks and in their lines.
#include <algorithm>

#include "queue/line_book.h"

namespace sharedlock {

namespace {

constexpr std::chrono::seconds kLoadAgain{1};

}  // namespace

// A place of ours without a waiter is erased, and again whenever it appears after that.
void LineBook::remove_orphan(Line& line, const std::string& name, Revision revision) {
  auto [at, is_new] = line.removed.try_emplace(name, kNotYet);
  if (!is_new && (at->second == kNotYet || revision <= at->second)) return;
  at->second = kNotYet;
  auto seen = revision == kNotYet ? std::nullopt : std::optional(revision);
  effects_.emplace_back(Remove{key_of(line, name), seen});
}

void LineBook::removed(const std::string& key, Revision as_of) {
  std::size_t slash = key.rfind('/');
  auto found = by_prefix_.find(key.substr(0, slash + 1));
  if (found == by_prefix_.end()) return;
  Line& line = *found->second;
  std::string name = key.substr(slash + 1);
  const Place* place = place_at(line, name);
  if (!place && line.line_as_of >= as_of) {
    line.removed.erase(name);
    return;
  }
  line.removed[name] = as_of;
  if (place && place->ours && !by_name_.contains(name)) remove_orphan(line, name, place->revision);
}

void LineBook::not_removed(const std::string& key, const Entry& entry) {
  std::size_t slash = key.rfind('/');
  auto found = by_prefix_.find(key.substr(0, slash + 1));
  std::string name = key.substr(slash + 1);
  bool is_orphan = see_place_(entry).server == server_ && !by_name_.contains(name);
  if (found != by_prefix_.end()) {
    found->second->removed.erase(name);
    if (is_orphan) remove_orphan(*found->second, name, entry.revision);
  } else if (is_orphan) {
    effects_.emplace_back(Remove{key, entry.revision});
  }
}

void LineBook::changed(const ChangeBatch& batch) {
  std::vector<Line*> touched;
  for (const Change& change : batch.changes) {
    Line* line = find(change.key);
    if (!line) {
      auto prefix = by_prefix_.find(change.key.substr(0, change.key.rfind('/') + 1));
      if (prefix == by_prefix_.end()) continue;
      line = prefix->second;
    }
    if (line->loading) line->meanwhile.emplace_back(batch.revision, change);
    if (apply(*line, batch.revision, change)) touched.push_back(line);
  }
  for (Line* line : touched) look_over(*line);
}

// False: nothing changed on which any waiter's turn depends.
bool LineBook::apply(Line& line, Revision revision, const Change& change) {
  if (change.key == line.part.lock) return learn_lock(line, change.now, revision);
  if (revision <= line.loaded_as_of) return true;
  line.line_as_of = std::max(line.line_as_of, revision);
  std::string name = change.key.substr(line.part.line.size());
  if (change.now) {
    put_place(line, name, *change.now);
  } else {
    drop_place(line, name);
  }
  return true;
}

// A renewed entry of the lease API is put again: only its revision and the lease that it hangs on change.
bool LineBook::learn_lock(Line& line, const std::optional<Entry>& entry, Revision as_of) {
  if (as_of <= line.lock_as_of) return true;
  line.lock_as_of = as_of;
  bool same = entry && line.lock && entry->revision == line.lock->revision;
  if (same) return true;
  bool stays = entry && line.lock && entry->created == line.lock->created && entry->value == line.lock->value;
  line.lock = entry;
  LockSight sight = entry ? see_lock_(*entry) : LockSight();
  bool only_renewed = stays && sight.holder == line.sight.holder && !sight.look_again;
  line.sight = std::move(sight);
  line.look_at = line.sight.look_again;
  set_due(line);
  return !only_renewed;
}

void LineBook::put_place(Line& line, const std::string& name, const Entry& entry) {
  erase_place(line, name);
  PlaceSight sight = see_place_(entry);
  bool ours = sight.server == server_;
  Revision asked = sight.since == kAbsent ? entry.revision : sight.since;
  Place place{entry.revision, sight.waiter, ours, sight.parts, asked};
  auto added = line.places.insert({Order{entry.created, name}, std::move(place)}).first;
  const Order& order = added->first;
  line.by_name[order.name] = &order;
  auto waiter = by_name_.find(name);
  if (!sight.waiter.empty()) {
    const Order*& latest = line.latest.try_emplace(sight.waiter, &order).first->second;
    if (is_later(line, order, *latest)) latest = &order;
    auto same = line.identities.find(sight.waiter);
    bool another = same != line.identities.end() && (waiter == by_name_.end() || waiter->second != same->second);
    if (another) {
      const Waiter& older = waiters_.at(same->second);
      auto own = line.by_name.find(older.name);
      bool later = own != line.by_name.end() && is_later(line, order, *own->second);
      if (later || has_come_elsewhere(line, older)) supersede(same->second);
    }
  }
  if (waiter != by_name_.end()) {
    check_place(line, waiter->second);
  } else if (ours) {
    remove_orphan(line, name, entry.revision);
  }
}

void LineBook::drop_place(Line& line, const std::string& name) {
  erase_place(line, name);
  auto removed = line.removed.find(name);
  if (removed != line.removed.end() && removed->second != kNotYet) line.removed.erase(removed);
  auto waiter = by_name_.find(name);
  if (waiter != by_name_.end()) check_place(line, waiter->second);
}

void LineBook::erase_place(Line& line, const std::string& name) {
  auto at = line.by_name.find(name);
  if (at == line.by_name.end()) return;
  auto place = line.places.find(*at->second);
  auto latest = line.latest.find(place->second.identity);
  if (latest != line.latest.end() && latest->second == at->second) line.latest.erase(latest);
  line.by_name.erase(at);
  line.places.erase(place);
}

const LineBook::Place* LineBook::place_at(const Line& line, const std::string& name) {
  auto at = line.by_name.find(name);
  return at == line.by_name.end() ? nullptr : &line.places.find(*at->second)->second;
}

// Checks that its place is still there and its own. While it acts, the answer of its commit says that. A waiter with
// its client away does not join again.
void LineBook::check_place(const Line& line, WaiterId id) {
  Waiter& waiter = waiters_.at(id);
  bool has_place = waiter.state == State::in_line || waiter.state == State::gone || waiter.state == State::away;
  if (!has_place || waiter.acting || waiter.superseded) return;
  if (!line.loaded || line.line_as_of < waiter.revision) return;
  const Place* place = place_at(line, waiter.name);
  bool is_taken_over = place && !place->ours && place->revision > waiter.revision;
  if (is_taken_over) {
    if (waiter.lines.size() == 1) lose_name(id, waiter);
    supersede(id);
  } else if (has_come_elsewhere(line, waiter)) {
    supersede(id);
  } else if (!place && waiter.state == State::away) {
    if (waiter.lines.size() == 1) lose_name(id, waiter);
    left(id);
  } else if (!place) {
    lose(id, waiter);
  }
}

BootTime LineBook::next_due() const {
  BootTime due = due_.empty() ? BootTime::max() : due_.begin()->first;
  return kept_.empty() ? due : std::min(due, kept_.begin()->first);
}

void LineBook::set_due(Line& line) {
  BootTime due = BootTime::max();
  if (!line.idle_head.empty()) due = line.idle_until;
  auto sooner = [&](const std::optional<BootTime>& time) { due = time ? std::min(due, *time) : due; };
  sooner(line.look_at);
  sooner(line.load_at);
  if (line.waiters.empty() && !line.loading) due = std::min(due, line.kept_until);
  if (due == line.due) return;
  if (line.due != BootTime::max()) due_.erase({line.due, line.part.lock});
  line.due = due;
  if (due != BootTime::max()) due_.emplace(due, line.part.lock);
}

void LineBook::advance(BootTime now) {
  now_ = std::max(now_, now);
  while (!kept_.empty() && kept_.begin()->first <= now_) left(kept_.begin()->second);
  while (!due_.empty() && due_.begin()->first <= now_) {
    auto next = due_.extract(due_.begin());
    Line& line = lines_.at(next.value().second);
    line.due = BootTime::max();
    on_due(line);
  }
}

void LineBook::on_due(Line& line) {
  // Not during a read: its result would be taken for that of a new line of the same name.
  if (line.waiters.empty() && !line.loading && line.kept_until <= now_) {
    by_prefix_.erase(line.part.line);
    lines_.erase(std::string(line.part.lock));
    return;
  }
  if (line.load_at && *line.load_at <= now_) begin_load(line);
  if (!line.idle_head.empty() && line.idle_until <= now_) {
    line.idle_until = now_ + kIdle;
    auto waiter = by_name_.find(line.idle_head);
    if (waiter == by_name_.end()) {
      const Place* place = place_at(line, line.idle_head);
      if (place) effects_.emplace_back(Evict{line.part, key_of(line, line.idle_head), place->revision});
    } else {
      const Waiter& first = waiters_.at(waiter->second);
      if (first.state == State::away && may_take(first)) left(waiter->second);
    }
  }
  if (line.look_at && *line.look_at <= now_) {
    // For the first in line, if it is one of our waiters.
    line.look_at = now_ + kIdle;
    auto head = line.places.empty() ? by_name_.end() : by_name_.find(line.places.begin()->first.name);
    if (line.lock && head != by_name_.end()) tell(head->second, waiters_.at(head->second), Turn::look);
  }
  set_due(line);
}

void LineBook::reset() {
  for (auto& [lock, line] : lines_) {
    line.loaded = false;
    line.idle_head.clear();  // which place is the head, if there is any, is known again once the line is read
    if (line.loading) {
      line.load_again = true;
    } else {
      begin_load(line);
    }
    set_due(line);
  }
}

void LineBook::loaded(const std::string& lock, const Found& found, const Listing& listing) {
  Line* line = find(lock);
  if (!line || !line->loading) return;
  if (line->load_again) {
    begin_load(*line);
    return;
  }
  line->loading = false;
  line->loaded = true;
  line->load_done = line->load;
  learn_lock(*line, found.entry, found.as_of);
  take_listing(*line, listing);
  if (line->load_more) begin_load(*line);
  auto waiters = line->waiters;
  for (WaiterId id : waiters) {
    auto waiter = waiters_.find(id);
    if (waiter == waiters_.end()) continue;
    if (waiter->second.state == State::loading) {
      tell_join(id, waiter->second);
    } else {
      check_place(*line, id);
    }
  }
  look_over(*line);
}

// Takes what was read, with what has changed meanwhile. What was known already is left as it is.
void LineBook::take_listing(Line& line, const Listing& listing) {
  std::map<std::string_view, const Entry*> stands;
  std::size_t prefix = line.part.line.size();
  for (const auto& [key, entry] : listing.entries) stands[std::string_view(key).substr(prefix)] = &entry;
  Revision as_of = listing.as_of;
  auto meanwhile = std::exchange(line.meanwhile, {});
  for (const auto& [revision, change] : meanwhile) {
    if (change.key == line.part.lock) {
      learn_lock(line, change.now, revision);
    } else if (revision > listing.as_of) {
      as_of = std::max(as_of, revision);
      stands[std::string_view(change.key).substr(prefix)] = change.now ? &*change.now : nullptr;
    }
  }
  line.loaded_as_of = listing.as_of;
  line.line_as_of = as_of;
  std::erase_if(stands, [](const auto& one) { return one.second == nullptr; });
  std::vector<std::string> gone;
  for (const auto& [name, order] : line.by_name) {
    if (!stands.contains(name)) gone.emplace_back(name);
  }
  for (const std::string& name : gone) drop_place(line, name);
  std::erase_if(line.removed, [&](const auto& one) { return one.second <= as_of && !stands.contains(one.first); });
  for (const auto& [name, entry] : stands) {
    const Place* known = place_at(line, std::string(name));
    if (!known || known->revision != entry->revision) put_place(line, std::string(name), *entry);
  }
}

void LineBook::load_failed(const std::string& lock) {
  Line* line = find(lock);
  if (!line || !line->loading) return;
  line->loading = false;
  line->load_at = now_ + kLoadAgain;
  set_due(*line);
}

void LineBook::look_after(const LinePart& part) {
  set_due(line_for(part));
}

}  // namespace sharedlock
