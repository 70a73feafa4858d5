// The half of LineBook that follows the store: what stands under the locks and in their lines.
#include <algorithm>

#include "lock/line_book.h"

namespace sharedlock {

namespace {

constexpr std::chrono::seconds kLoadAgain{1};

}  // namespace

// A place of ours that nobody stands for is erased, again whenever it comes to stand there after that.
void LineBook::remove_orphan(Line& line, const std::string& name, Revision revision) {
  auto [at, is_new] = line.removed.try_emplace(name, kNotYet);
  if (!is_new && (at->second == kNotYet || revision <= at->second)) return;
  at->second = kNotYet;
  effects_.emplace_back(Remove{key_of(line, name)});
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
  if (place && place->ours) remove_orphan(line, name, place->revision);
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
    apply(*line, batch.revision, change);
    touched.push_back(line);
  }
  for (Line* line : touched) look_over(*line);
}

void LineBook::apply(Line& line, Revision revision, const Change& change) {
  if (change.key == line.part.lock) {
    learn_lock(line, change.now, revision);
    return;
  }
  if (revision <= line.loaded_as_of) return;
  line.line_as_of = std::max(line.line_as_of, revision);
  std::string name = change.key.substr(line.part.line.size());
  if (change.now) {
    put_place(line, name, *change.now);
  } else {
    drop_place(line, name);
  }
}

void LineBook::learn_lock(Line& line, const std::optional<Entry>& entry, Revision as_of) {
  if (as_of <= line.lock_as_of) return;
  line.lock_as_of = as_of;
  bool same = entry && line.lock && entry->revision == line.lock->revision;
  if (same) return;
  line.lock = entry;
  line.sight = entry ? see_lock_(*entry) : LockSight();
  line.look_at = line.sight.look_again;
  set_due(line);
}

void LineBook::put_place(Line& line, const std::string& name, const Entry& entry) {
  erase_place(line, name);
  PlaceSight sight = see_place_(entry);
  bool ours = sight.server == server_;
  auto added = line.places.insert({Order{entry.created, name}, Place{entry.revision, sight.waiter, ours}}).first;
  const Order& order = added->first;
  line.by_name[order.name] = &order;
  auto waiter = by_name_.find(name);
  if (!sight.waiter.empty()) {
    const Order*& latest = line.latest.try_emplace(sight.waiter, &order).first->second;
    if (*latest < order) latest = &order;
    auto same = line.identities.find(sight.waiter);
    bool another = same != line.identities.end() && (waiter == by_name_.end() || waiter->second != same->second);
    if (another) {
      auto own = line.by_name.find(waiters_.at(same->second).name);
      bool later = own != line.by_name.end() && *own->second < order;
      if (later) supersede(same->second);
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

// Whether its place is still there and its own. While it acts, the answer of its commit says that.
void LineBook::check_place(const Line& line, WaiterId id) {
  Waiter& waiter = waiters_.at(id);
  if (waiter.state != State::in_line || waiter.acting || waiter.superseded) return;
  if (!line.loaded || line.line_as_of < waiter.revision) return;
  const Place* place = place_at(line, waiter.name);
  if (!place) {
    waiter.state = State::lost;
    lost_.insert(id);
    effects_.emplace_back(Rejoin{});
  } else if (!place->ours && place->revision > waiter.revision) {
    by_name_.erase(waiter.name);
    waiter.name.clear();
    supersede(id);
  }
}

void LineBook::set_due(Line& line) {
  BootTime due = BootTime::max();
  if (!line.idle_head.empty()) due = line.idle_until;
  auto sooner = [&](const std::optional<BootTime>& time) { due = time ? std::min(due, *time) : due; };
  sooner(line.look_at);
  sooner(line.load_at);
  if (line.waiters.empty()) due = std::min(due, line.kept_until);
  if (due == line.due) return;
  if (line.due != BootTime::max()) due_.erase({line.due, line.part.lock});
  line.due = due;
  if (due != BootTime::max()) due_.emplace(due, line.part.lock);
}

void LineBook::advance(BootTime now) {
  now_ = std::max(now_, now);
  while (!due_.empty() && due_.begin()->first <= now_) {
    auto next = due_.extract(due_.begin());
    Line& line = lines_.at(next.value().second);
    line.due = BootTime::max();
    on_due(line);
  }
}

void LineBook::on_due(Line& line) {
  if (line.waiters.empty() && line.kept_until <= now_) {
    by_prefix_.erase(line.part.line);
    lines_.erase(std::string(line.part.lock));
    return;
  }
  if (line.load_at && *line.load_at <= now_) begin_load(line);
  if (!line.idle_head.empty() && line.idle_until <= now_) {
    line.idle_until = now_ + kIdle;
    const auto& [order, place] = *line.places.begin();
    effects_.emplace_back(Evict{line.part, key_of(line, order.name), place.revision});
  }
  if (line.look_at && *line.look_at <= now_) {
    // Whoever is first when there is one of ours.
    line.look_at = now_ + kIdle;
    auto head = line.places.empty() ? by_name_.end() : by_name_.find(line.places.begin()->first.name);
    if (line.lock && head != by_name_.end()) tell(head->second, waiters_.at(head->second), Turn::look);
  }
  set_due(line);
}

void LineBook::reset() {
  for (auto& [lock, line] : lines_) {
    line.loaded = false;
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
  learn_lock(*line, found.entry, found.as_of);
  line->by_name.clear();
  line->latest.clear();
  line->places.clear();
  line->removed.clear();
  line->loaded_as_of = line->line_as_of = listing.as_of;
  for (const auto& [key, entry] : listing.entries) put_place(*line, key.substr(line->part.line.size()), entry);
  for (const auto& [revision, change] : std::exchange(line->meanwhile, {})) apply(*line, revision, change);
  auto waiters = line->waiters;
  for (WaiterId id : waiters) {
    Waiter& waiter = waiters_.at(id);
    if (waiter.state == State::loading) {
      tell_join(id, waiter);
    } else {
      check_place(*line, id);
    }
  }
  look_over(*line);
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
