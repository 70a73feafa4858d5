// The part of LineBook that puts places: of new waiters, and of waiters that lost theirs (R24).
#include <algorithm>

#include "queue/line_book.h"

namespace sharedlock {

LineBook::Join LineBook::join_of(WaiterId id) {
  const Waiter& waiter = waiters_.at(id);
  Join join{.places = {}, .expected = waiter.expected, .left = {}, .since = kAbsent};
  for (const Line* line : waiter.lines) join.places.push_back(key_of(*line, waiter.name));
  if (!joins_again(waiter)) return join;
  join.since = waiter.asked;
  for (const Line* line : waiter.lines) {
    const Place* left = place_left(*line, waiter);
    if (left) join.left.push_back({.place = key_of(*line, waiter.order.name), .revision = left->revision});
  }
  return join;
}

// Under another name than that of the places that it had. A waiter without a name has left those to others.
bool LineBook::joins_again(const Waiter& waiter) {
  return !waiter.name.empty() && waiter.order.created != kAbsent && waiter.name != waiter.order.name;
}

// The place that it had in that line, if it still stands there.
const LineBook::Place* LineBook::place_left(const Line& line, const Waiter& waiter) {
  const Place* left = place_at(line, waiter.order.name);
  return left && left->ours ? left : nullptr;
}

void LineBook::joined(WaiterId id, Revision revision) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  for (Line* line : waiter.lines) {
    bool goes = joins_again(waiter) && place_left(*line, waiter) && line->line_as_of < revision;
    if (goes) line->removed[waiter.order.name] = revision;
  }
  waiter.state = State::in_line;
  waiter.revision = revision;
  waiter.unsure = false;
  if (waiter.expected == kAbsent) waiter.order = {revision, waiter.name};
  if (waiter.asked == kAbsent) waiter.asked = revision;
  waiter.expected = kAbsent;
  if (waiter.superseded) return hand_on(id, waiter, /*with_places=*/true);
  auto lines = waiter.lines;
  for (Line* line : lines) check_place(*line, id);
  look_over_all_of(lines);
}

// Its name is used up, since an unanswered commit under it may still happen. Taking over another server's place is
// tried again under the same name: that may have happened already, which the next answer tells.
void LineBook::not_joined(WaiterId id, bool unanswered) {
  auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  Waiter& waiter = found->second;
  bool takes_over = waiter.expected != kAbsent;
  if (takes_over && unanswered && !waiter.superseded) {
    effects_.emplace_back(Wake{id, Turn::join});
    return;
  }
  unname(id, waiter);
  if (!takes_over) {
    for (Line* line : waiter.lines) remove_orphan(*line, waiter.name, kNotYet);
  } else {
    waiter.order = {};
  }
  waiter.name = fresh_name();
  waiter.expected = kAbsent;
  by_name_[waiter.name] = id;
  waiter.state = State::loading;
  if (waiter.superseded) return hand_on(id, waiter, /*with_places=*/false);
  bool had_places = waiter.order.created != kAbsent;
  if (had_places) return lose(id, waiter);  // in its order among the lost places
  tell_join(id, waiter);
}

void LineBook::lose(WaiterId id, Waiter& waiter) {
  waiter.state = State::lost;
  lost_.emplace(waiter.order, id);
  effects_.emplace_back(Rejoin{});
}

// A waiter with more places than that is taken alone.
std::vector<LineBook::WaiterId> LineBook::take_lost(std::size_t most_places) {
  std::vector<WaiterId> taken;
  std::size_t places = 0;
  while (!lost_.empty()) {
    WaiterId id = lost_.begin()->second;
    Waiter& waiter = waiters_.at(id);
    places += waiter.lines.size();
    if (!taken.empty() && places > most_places) break;
    lost_.erase(lost_.begin());
    unname(id, waiter);
    waiter.name = fresh_name();
    by_name_[waiter.name] = id;
    waiter.state = State::joining;
    taken.push_back(id);
  }
  return taken;
}

void LineBook::unlose(WaiterId id, const Waiter& waiter) {
  auto lost = lost_.find(waiter.order);
  if (lost != lost_.end() && lost->second == id) lost_.erase(lost);
}

}  // namespace sharedlock
