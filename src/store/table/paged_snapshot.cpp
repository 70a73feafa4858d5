#include "store/table/paged_snapshot.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

namespace sharedlock {

namespace {

// Some 100 microseconds of copying.
constexpr std::size_t kSnapshotPage = 256;

// The later of two changes to one key comes later in `changes`.
std::map<std::string, std::optional<Entry>> last_of_each(std::vector<Change> changes) {
  std::map<std::string, std::optional<Entry>> last;
  for (Change& change : changes) last.insert_or_assign(std::move(change.key), std::move(change.now));
  return last;
}

}  // namespace

bool PagedSnapshot::take_page(const LeaseTable& table) {
  Listing page = table.list(prefix_, last_key_, kSnapshotPage);
  as_of_ = page.as_of;
  if (!page.entries.empty()) last_key_ = page.entries.back().first;
  pages_.push_back(std::move(page.entries));
  return page.more;
}

void PagedSnapshot::note(const std::vector<Change>& changes) {
  // Keys behind the last page come with a later one.
  auto is_taken = [this](const Change& change) { return change.key.starts_with(prefix_) && change.key <= last_key_; };
  std::ranges::copy_if(changes, std::back_inserter(changes_), is_taken);
}

Snapshot PagedSnapshot::finish() && {
  auto changed = last_of_each(std::move(changes_));
  Snapshot snapshot{.as_of = as_of_, .entries = {}};
  auto next = changed.begin();
  // Keys added since then, before the first one that is not less than `key`.
  auto add_changed_up_to = [&](const std::string* key) {
    for (; next != changed.end() && (!key || next->first < *key); ++next) {
      if (next->second) snapshot.entries.emplace_back(next->first, *std::move(next->second));
    }
  };
  for (std::vector<KeyedEntry>& page : pages_) {
    for (KeyedEntry& taken : page) {
      add_changed_up_to(&taken.first);
      if (next == changed.end() || next->first != taken.first) snapshot.entries.push_back(std::move(taken));
    }
  }
  add_changed_up_to(nullptr);
  return snapshot;
}

}  // namespace sharedlock
