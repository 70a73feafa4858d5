#include "lock/together.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace sharedlock {

namespace {

LineBook::Places see_places(std::span<const std::optional<Entry>> stands, Revision expected) {
  auto places = LineBook::Places::there;
  for (const auto& place : stands) {
    if (place && place->revision != expected) return LineBook::Places::taken_over;
    if (!place) places = LineBook::Places::gone;
  }
  return places;
}

}  // namespace

Together::Together(std::vector<std::string> keys)
    : keys_(std::move(keys)), stands_(keys_.size()), in_line_(keys_.size(), false) {}

Transaction Together::look() const {
  Transaction transaction;
  for (const std::string& key : keys_) transaction.expect.push_back({key, kNever});
  for (const std::string& place : places_.places) transaction.expect.push_back({place, kNever});
  return transaction;
}

void Together::saw(Conflict conflict) {
  auto places = conflict.current.begin() + static_cast<std::ptrdiff_t>(keys_.size());
  if (expects_places()) places_stand_ = see_places({places, conflict.current.end()}, places_.expected);
  conflict.current.erase(places, conflict.current.end());
  stands_ = std::move(conflict.current);
  in_line_.assign(keys_.size(), false);
  as_of_ = conflict.as_of;
}

bool Together::is_newcomer(const Decided& one) const {
  return !lines_.empty() && changes_hands(one.decision, one.seen);
}

Transaction Together::change(const std::vector<Decided>& all) const {
  Transaction transaction;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    add_to(transaction, keys_[i], all[i].decision, all[i].seen);
    if (is_newcomer(all[i])) transaction.none_under.push_back(lines_[i]);
  }
  for (const std::string& place : places_.places) {
    if (expects_places()) transaction.expect.push_back({place, places_.expected});
    if (places_stand_ != LineBook::Places::taken_over) transaction.changes.emplace_back(Erase{place});
  }
  return transaction;
}

void Together::lost(Conflict conflict, const std::vector<Decided>& all) {
  std::vector<bool> occupied = std::move(conflict.occupied);
  saw(std::move(conflict));
  auto next = occupied.begin();
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (is_newcomer(all[i])) in_line_[i] = *next++;
  }
}

}  // namespace sharedlock
