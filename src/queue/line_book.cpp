#include "queue/line_book.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

namespace sharedlock {

namespace {

// Long enough for an unanswered commit to show, or to become impossible.
constexpr std::chrono::seconds kKept{15};

}  // namespace

LineBook::LineBook(std::string server, SeeLock see_lock, SeePlace see_place)
    : server_(std::move(server)), see_lock_(std::move(see_lock)), see_place_(std::move(see_place)) {}

// Of fixed width, so that names with one revision sort in the order in which they were given (R25).
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
  line.load = ++last_load_;
  line.load_again = false;
  line.load_more = false;
  line.load_at.reset();
  line.meanwhile.clear();
  effects_.emplace_back(Load{line.part});
}

LineBook::WaiterId LineBook::add(std::vector<LinePart> parts, Identity identity, Back back) {
  WaiterId id = ++last_waiter_;
  Waiter waiter;
  waiter.identity = std::move(identity);
  waiter.back = back;
  waiter.came_after = last_load_;
  for (const LinePart& part : parts) waiter.lines.push_back(&line_for(part));

  std::set<WaiterId> before;
  for (Line* line : waiter.lines) {
    auto same = waiter.identity.empty() ? line->identities.end() : line->identities.find(waiter.identity);
    if (same != line->identities.end()) before.insert(same->second);
  }
  for (WaiterId older_id : before) {
    Waiter& older = waiters_.at(older_id);
    if (older.lines == waiter.lines) succeed(older_id, older, waiter);
    supersede(older_id);
  }
  if (waiter.name.empty()) waiter.name = fresh_name();
  by_name_[waiter.name] = id;
  for (Line* line : waiter.lines) {
    line->waiters.insert(id);
    if (!waiter.identity.empty()) line->identities[waiter.identity] = id;
  }
  Waiter& added = waiters_.emplace(id, std::move(waiter)).first->second;
  if (added.state == State::in_line) {
    auto lines = added.lines;
    for (Line* line : lines) check_place(*line, id);
    look_over_all_of(lines);
  } else {
    tell_join(id, added);
  }
  return id;
}

LineBook::Join LineBook::places_of(WaiterId id) const {
  const Waiter& waiter = waiters_.at(id);
  Join join{.places = {}, .expected = waiter.revision};
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
  if (places != Places::there) waiter.unsure = places == Places::unknown;
  if (places == Places::taken_over) {
    supersede(id);
    if (waiter.lines.size() == 1) lose_name(id, waiter);
  }
  if (waiter.superseded) {
    bool there = places == Places::there || places == Places::unknown;
    hand_on(id, waiter, there);
    return;
  }
  auto lines = waiter.lines;
  if (places == Places::gone && waiter.state == State::in_line) waiter.state = State::gone;
  for (Line* line : lines) check_place(*line, id);
  look_over_all_of(lines);
}

void LineBook::finished(WaiterId id, Revision revision) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  for (Line* line : found->second.lines) {
    if (line->line_as_of < revision) line->removed[found->second.name] = revision;
  }
  hand_on(id, found->second, /*with_places=*/false);
  forget(id);
}

void LineBook::left(WaiterId id) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  hand_on(id, found->second, /*with_places=*/true);
  remove_places(found->second);
  forget(id);
}

// Erases the places that it has, or may have.
void LineBook::remove_places(const Waiter& waiter) {
  for (Line* line : waiter.lines) {
    const Place* left = joins_again(waiter) ? place_left(*line, waiter) : nullptr;
    if (left) remove_orphan(*line, waiter.order.name, left->revision);
  }
  bool may_stand_there = !waiter.name.empty() && waiter.state != State::loading && waiter.state != State::succeeding;
  if (!may_stand_there) return;
  Revision revision = waiter.state == State::joining ? kNotYet : waiter.revision;
  for (Line* line : waiter.lines) remove_orphan(*line, waiter.name, revision);
}

void LineBook::forget(WaiterId id) {
  auto node = waiters_.extract(id);
  const Waiter& waiter = node.mapped();
  unlose(id, waiter);
  if (waiter.state == State::away) kept_.erase({waiter.kept_until, id});
  unname(id, waiter);
  for (Line* line : waiter.lines) {
    line->waiters.erase(id);
    auto same = line->identities.find(waiter.identity);
    if (same != line->identities.end() && same->second == id) line->identities.erase(same);
    line->kept_until = now_ + kKept;
    set_due(*line);
  }
}

void LineBook::unname(WaiterId id, const Waiter& waiter) {
  auto named = by_name_.find(waiter.name);
  if (named != by_name_.end() && named->second == id) by_name_.erase(named);
}

void LineBook::lose_name(WaiterId id, Waiter& waiter) {
  unname(id, waiter);
  waiter.name.clear();
}

void LineBook::supersede(WaiterId id) {
  Waiter& waiter = waiters_.at(id);
  if (std::exchange(waiter.superseded, true)) return;
  unlose(id, waiter);
  if (waiter.state == State::away) return left(id);
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
      WaiterId id = same->second;
      Waiter& waiter = waiters_.at(id);
      if (may_take(waiter)) tell(id, waiter, Turn::retake);
      // Its client has come back elsewhere, and has what it waited for.
      if (waiter.state == State::away && may_take(waiter)) left(id);
    }
  }
  look_over_head(line);
  set_due(line);
}

void LineBook::look_over_head(Line& line) {
  std::string head;
  Revision revision{};
  auto idle = kIdle;
  if (!line.lock && !line.places.empty()) {
    const auto& [order, place] = *line.places.begin();
    revision = place.revision;
    auto waiter = by_name_.find(order.name);
    if (waiter != by_name_.end()) {
      Waiter& first = waiters_.at(waiter->second);
      bool its_turn = may_take(first);
      if (its_turn) tell(waiter->second, first, Turn::take);
      if (its_turn && first.state == State::away) {
        head = order.name;
        idle = kAwayAtHead;
      }
    } else if (!place.ours) {
      head = order.name;
    }
  }
  if (head != line.idle_head || revision != line.idle_revision) line.idle_until = now_ + idle;
  line.idle_head = std::move(head);
  line.idle_revision = revision;
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
        << number_of(line->loaded_as_of) << ',' << number_of(line->line_as_of) << line->idle_head << line->load_more;
    if (!line->idle_head.empty()) out << '!' << (line->idle_until - now_).count();
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
        << number_of(waiter->expected) << ',' << number_of(waiter->order.created) << waiter->order.name << ','
        << number_of(waiter->asked) << waiter->acting << waiter->superseded << waiter->succeeds << waiter->unsure
        << waiter->given_up;
    if (waiter->state == State::away) out << '!' << (waiter->kept_until - now_).count();
    // Which reads came after it, not their numbers.
    for (const Line* line : waiter->lines) {
      bool waits = waiter->back == Back::from_anywhere && waiter->state == State::loading;
      if (waits) out << (line->load > waiter->came_after) << (line->load_done > waiter->came_after);
    }
    out << ')';
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
