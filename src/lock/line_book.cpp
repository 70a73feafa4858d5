#include "lock/line_book.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

namespace sharedlock {

namespace {

// Long enough for a commit without an answer to show, or never to happen.
constexpr std::chrono::seconds kKept{15};

}  // namespace

LineBook::LineBook(std::string server, SeeLock see_lock, SeePlace see_place)
    : server_(std::move(server)), see_lock_(std::move(see_lock)), see_place_(std::move(see_place)) {}

// Of fixed width, so that names that tie in their revision are in the order in which they were given (R25).
std::string LineBook::fresh_name() {
  std::array<char, 16> digits;
  auto end = std::to_chars(digits.data(), digits.data() + digits.size(), ++last_name_, 16).ptr;
  auto count = static_cast<std::size_t>(end - digits.data());
  return std::string(digits.size() - count, '0').append(digits.data(), count) + '-' + server_;
}

LineBook::Line* LineBook::find(const std::string& lock) {
  auto line = lines_.find(lock);
  return line == lines_.end() ? nullptr : &line->second;
}

LineBook::Line& LineBook::line_for(const LinePart& part) {
  auto [at, is_new] = lines_.try_emplace(part.lock);
  Line& line = at->second;
  line.kept_until = now_ + kKept;
  if (is_new) {
    line.part = part;
    by_prefix_[part.line] = &line;
    begin_load(line);
  }
  return line;
}

void LineBook::begin_load(Line& line) {
  line.loading = true;
  line.load_again = false;
  line.load_at.reset();
  line.meanwhile.clear();
  effects_.emplace_back(Load{line.part});
}

LineBook::WaiterId LineBook::add(std::vector<LinePart> parts, Identity identity) {
  WaiterId id = ++last_waiter_;
  Waiter waiter;
  waiter.identity = std::move(identity);
  for (const LinePart& part : parts) waiter.lines.push_back(&line_for(part));

  std::set<WaiterId> before;
  for (Line* line : waiter.lines) {
    auto same = waiter.identity.empty() ? line->identities.end() : line->identities.find(waiter.identity);
    if (same != line->identities.end()) before.insert(same->second);
  }
  for (WaiterId older_id : before) {
    Waiter& older = waiters_.at(older_id);
    bool its_place = older.state == State::in_line && !older.acting && older.lines == waiter.lines;
    if (its_place) {
      waiter.name = std::exchange(older.name, {});
      waiter.state = State::in_line;
      waiter.revision = older.revision;
    }
    supersede(older_id);
  }
  if (waiter.name.empty()) waiter.name = fresh_name();
  by_name_[waiter.name] = id;
  for (Line* line : waiter.lines) {
    line->waiters.insert(id);
    if (!waiter.identity.empty()) line->identities[waiter.identity] = id;
  }
  Waiter& added = waiters_.emplace(id, std::move(waiter)).first->second;
  if (added.state == State::loading) {
    tell_join(id, added);
  } else {
    look_over_all_of(added.lines);
  }
  return id;
}

// Once all of its lines are known: there may be a place of the same identity to take over.
void LineBook::tell_join(WaiterId id, Waiter& waiter) {
  if (waiter.state != State::loading || waiter.superseded) return;
  if (!std::ranges::all_of(waiter.lines, [](const Line* line) { return line->loaded; })) return;
  if (waiter.lines.size() == 1) {
    const Line& line = *waiter.lines.front();
    auto other = line.latest.find(waiter.identity);
    const Place* theirs = other == line.latest.end() ? nullptr : &line.places.find(*other->second)->second;
    if (theirs && !theirs->ours) {
      by_name_.erase(waiter.name);
      waiter.name = other->second->name;
      waiter.expected = theirs->revision;
      by_name_[waiter.name] = id;
    }
  }
  waiter.state = State::joining;
  effects_.emplace_back(Wake{id, Turn::join});
}

LineBook::Join LineBook::join_of(WaiterId id) {
  const Waiter& waiter = waiters_.at(id);
  Join join{.places = {}, .expected = waiter.expected, .erased = {}};
  for (const Line* line : waiter.lines) {
    join.places.push_back(key_of(*line, waiter.name));
    if (!waiter.old_name.empty()) join.erased.push_back(key_of(*line, waiter.old_name));
  }
  return join;
}

void LineBook::joined(WaiterId id, Revision revision) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  waiter.state = State::in_line;
  waiter.revision = revision;
  waiter.expected = kAbsent;
  waiter.old_name.clear();
  auto lines = waiter.lines;
  for (Line* line : lines) check_place(*line, id);
  look_over_all_of(lines);
}

// Its name is used up: a commit of it without an answer may still happen.
void LineBook::not_joined(WaiterId id) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  bool took_over = waiter.expected != kAbsent;
  by_name_.erase(waiter.name);
  if (!took_over) {
    for (Line* line : waiter.lines) remove_orphan(*line, waiter.name, kNotYet);
  }
  waiter.name = fresh_name();
  waiter.expected = kAbsent;
  by_name_[waiter.name] = id;
  waiter.state = State::loading;
  tell_join(id, waiter);
}

std::vector<LineBook::WaiterId> LineBook::take_lost(std::size_t most) {
  std::vector<WaiterId> taken;
  while (!lost_.empty() && taken.size() < most) {
    WaiterId id = *lost_.begin();
    lost_.erase(lost_.begin());
    Waiter& waiter = waiters_.at(id);
    by_name_.erase(waiter.name);
    // The places of a set must be in one order: what is left of the old ones goes.
    if (waiter.lines.size() > 1) waiter.old_name = waiter.name;
    waiter.name = fresh_name();
    by_name_[waiter.name] = id;
    waiter.state = State::joining;
    taken.push_back(id);
  }
  return taken;
}

LineBook::Join LineBook::places_of(WaiterId id) const {
  const Waiter& waiter = waiters_.at(id);
  Join join{.places = {}, .expected = waiter.revision, .erased = {}};
  for (const Line* line : waiter.lines) join.places.push_back(key_of(*line, waiter.name));
  return join;
}

void LineBook::saw(const std::string& lock, const std::optional<Entry>& entry, Revision as_of,
                   std::optional<BootTime> look_again) {
  Line* line = find(lock);
  if (!line) return;
  learn_lock(*line, entry, as_of);
  line->look_at = look_again;
  set_due(*line);
}

void LineBook::tried(WaiterId id, Places places) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  waiter.acting = false;
  if (places == Places::taken_over) supersede(id);
  if (waiter.superseded) return;
  auto lines = waiter.lines;
  if (places == Places::gone && waiter.state == State::in_line) {
    waiter.state = State::lost;
    lost_.insert(id);
    effects_.emplace_back(Rejoin{});
  }
  for (Line* line : lines) check_place(*line, id);
  look_over_all_of(lines);
}

void LineBook::finished(WaiterId id, Revision revision) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  for (Line* line : found->second.lines) {
    if (line->line_as_of < revision) line->removed[found->second.name] = revision;
  }
  forget(id);
}

void LineBook::left(WaiterId id) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  const Waiter& waiter = found->second;
  bool may_stand_there = !waiter.name.empty() && waiter.state != State::loading;
  if (may_stand_there) {
    for (Line* line : waiter.lines) {
      remove_orphan(*line, waiter.name, kNotYet);
      if (!waiter.old_name.empty()) remove_orphan(*line, waiter.old_name, kNotYet);
    }
  }
  forget(id);
}

void LineBook::forget(WaiterId id) {
  auto node = waiters_.extract(id);
  const Waiter& waiter = node.mapped();
  lost_.erase(id);
  if (!waiter.name.empty()) by_name_.erase(waiter.name);
  for (Line* line : waiter.lines) {
    line->waiters.erase(id);
    auto same = line->identities.find(waiter.identity);
    if (same != line->identities.end() && same->second == id) line->identities.erase(same);
    line->kept_until = now_ + kKept;
    set_due(*line);
  }
}

void LineBook::supersede(WaiterId id) {
  Waiter& waiter = waiters_.at(id);
  if (std::exchange(waiter.superseded, true)) return;
  lost_.erase(id);
  effects_.emplace_back(Wake{id, Turn::superseded});
}

void LineBook::tell(WaiterId id, Waiter& waiter, Turn turn) {
  if (waiter.state != State::in_line || waiter.acting || waiter.superseded) return;
  waiter.acting = true;
  effects_.emplace_back(Wake{id, turn});
}

bool LineBook::is_first(const Line& line, const Waiter& waiter) const {
  return !line.places.empty() && line.places.begin()->first.name == waiter.name;
}

bool LineBook::is_holder(const Line& line, const Waiter& waiter) {
  return line.lock && !waiter.identity.empty() && line.sight.holder == waiter.identity;
}

bool LineBook::may_take(const Waiter& waiter) const {
  return std::ranges::all_of(waiter.lines, [&](const Line* line) {
    return line->loaded && (is_holder(*line, waiter) || (!line->lock && is_first(*line, waiter)));
  });
}

void LineBook::look_over_all_of(const std::vector<Line*>& lines) {
  for (Line* line : lines) look_over(*line);
}

void LineBook::look_over(Line& line) {
  if (!line.loaded) return;
  if (line.lock && !line.sight.holder.empty()) {
    auto same = line.identities.find(line.sight.holder);
    if (same != line.identities.end()) {
      Waiter& waiter = waiters_.at(same->second);
      if (may_take(waiter)) tell(same->second, waiter, Turn::retake);
    }
  }
  look_over_head(line);
  set_due(line);
}

void LineBook::look_over_head(Line& line) {
  std::string head;
  if (!line.lock && !line.places.empty()) {
    const auto& [order, place] = *line.places.begin();
    auto waiter = by_name_.find(order.name);
    if (waiter != by_name_.end()) {
      Waiter& first = waiters_.at(waiter->second);
      if (may_take(first)) tell(waiter->second, first, Turn::take);
    } else if (!place.ours) {
      head = order.name;
    }
  }
  if (head != line.idle_head) line.idle_until = now_ + kIdle;
  line.idle_head = std::move(head);
}

bool LineBook::is_occupied(const std::string& lock) const {
  auto line = lines_.find(lock);
  return line != lines_.end() && line->second.loaded && !line->second.places.empty();
}

std::optional<Entry> LineBook::holder_of(const std::string& lock) const {
  auto line = lines_.find(lock);
  return line == lines_.end() ? std::nullopt : line->second.lock;
}

std::string LineBook::text() const {
  std::ostringstream out;
  std::map<std::string, const Line*> lines;
  for (const auto& [lock, line] : lines_) lines[lock] = &line;
  for (const auto& [lock, line] : lines) {
    out << lock << line->loaded << line->loading << line->load_again << line->meanwhile.size();
    out << (line->lock ? number_of(line->lock->revision) : 0) << ',' << number_of(line->lock_as_of) << ','
        << number_of(line->loaded_as_of) << ',' << number_of(line->line_as_of) << line->idle_head;
    for (const auto& [revision, change] : line->meanwhile) out << '~' << number_of(revision) << change.key;
    for (const auto& [order, place] : line->places) {
      out << '[' << number_of(order.created) << order.name << number_of(place.revision) << ']';
    }
    std::map<std::string, Revision> gone(line->removed.begin(), line->removed.end());
    for (const auto& [name, revision] : gone) out << '-' << name << number_of(revision);
  }
  std::map<WaiterId, const Waiter*> waiters;
  for (const auto& [id, waiter] : waiters_) waiters[id] = &waiter;
  for (const auto& [id, waiter] : waiters) {
    out << '(' << id << waiter->name << static_cast<int>(waiter->state) << number_of(waiter->revision) << ','
        << number_of(waiter->expected) << waiter->old_name << waiter->acting << waiter->superseded << ')';
  }
  return out.str();
}

std::size_t LineBook::ahead_of(WaiterId id) const {
  const Waiter& waiter = waiters_.at(id);
  std::size_t ahead = 0;
  for (const Line* line : waiter.lines) {
    auto place = line->by_name.find(waiter.name);
    if (place != line->by_name.end()) ahead = std::max(ahead, line->places.order_of_key(*place->second));
  }
  return ahead;
}

std::vector<std::string> LineBook::blockers_of(WaiterId id) const {
  const Waiter& waiter = waiters_.at(id);
  std::vector<std::string> known;
  std::vector<std::string> all;
  for (const Line* line : waiter.lines) {
    bool is_next = line->places.empty() || is_first(*line, waiter);
    bool blocks = !line->loaded || (!is_holder(*line, waiter) && (line->lock || !is_next));
    if (blocks) known.push_back(line->part.lock);
    all.push_back(line->part.lock);
  }
  return known.empty() ? all : known;
}

}  // namespace sharedlock
