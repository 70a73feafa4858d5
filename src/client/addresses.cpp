#include "client/addresses.h"

#include <algorithm>
#include <utility>

namespace sharedlock::client {

namespace {

using std::chrono::milliseconds;

// How long an answer counts as new; afterwards each new connection looks up again.
constexpr std::chrono::seconds kNew{5};
// How long an older answer waits for its successor.
constexpr milliseconds kForNewer{200};
// How long the addresses of one family wait for the other's ("resolution delay").
constexpr milliseconds kForOther{50};

Family other_than(Family family) {
  return family == Family::v6 ? Family::v4 : Family::v6;
}

}  // namespace

bool Addresses::wants(Family family, TimePoint now) const {
  const Known& known = of(family);
  bool is_new = known.answered_at && !known.temporary && now - *known.answered_at < kNew;
  return !known.under_way && !is_new;
}

void Addresses::asked(Family family, TimePoint now) {
  of(family).under_way = true;
  of(family).asked_at = now;
}

void Addresses::answered(Family family, TimePoint now, Answer answer) {
  Known& known = of(family);
  known.under_way = false;
  known.answered_at = now;
  known.temporary = answer.temporary;
  known.error = std::move(answer.error);
  if (!answer.temporary) known.addresses = std::move(answer.addresses);
}

// During a new lookup; TimePoint::max(): not before that is answered.
TimePoint Addresses::usable_from(const Known& known) {
  if (!known.under_way) return known.answered_at.value_or(TimePoint::max());
  return known.addresses.empty() ? TimePoint::max() : known.asked_at + kForNewer;
}

Addresses::View Addresses::look(TimePoint now) const {
  static const std::vector<Address> none;
  View view;
  std::array<const std::vector<Address>*, kFamilies.size()> lists{&none, &none};
  for (std::size_t i = 0; i < kFamilies.size(); ++i) {
    Family family = i == 0 ? first_ : other_than(first_);
    const Known& known = of(family);
    view.open |= known.under_way;
    if (view.error.empty() || known.temporary) view.error = known.error;
    TimePoint from = usable_from(known);
    if (from == TimePoint::max()) continue;
    if (usable_from(of(other_than(family))) > now) from += kForOther;
    if (from <= now) {
      lists[i] = &known.addresses;
    } else {
      view.again_at = std::min(view.again_at.value_or(from), from);
    }
  }
  std::size_t longest = std::max(lists[0]->size(), lists[1]->size());
  for (std::size_t i = 0; i < longest; ++i) {
    for (const auto* list : lists) {
      if (i < list->size()) view.usable.push_back((*list)[i]);
    }
  }
  return view;
}

}  // namespace sharedlock::client
