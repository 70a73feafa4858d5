#include "store/etcd/lease/lease_key_counts.h"

#include <utility>

namespace sharedlock {

void LeaseKeyCounts::on_event(const WatchEvent& event) {
  if (auto* snapshot = std::get_if<Snapshot>(&event)) {
    Tables tables;  // filled without the lock
    for (const auto& [key, entry] : snapshot->entries) add(tables, entry.lease);
    std::scoped_lock lock(mutex_);
    std::swap(tables_, tables);
    begun_ = true;
    return;
  }
  std::scoped_lock lock(mutex_);
  if (auto* liveness = std::get_if<Liveness>(&event)) {
    live_ = liveness->live;
  } else {
    for (const Change& change : std::get<ChangeBatch>(event).changes) take(change);
  }
}

bool LeaseKeyCounts::has_key(LeaseId id) const {
  std::scoped_lock lock(mutex_);
  return begun_ && live_ && table_of(tables_, id).contains(number_of(id));
}

void LeaseKeyCounts::forget(LeaseId id) {
  std::scoped_lock lock(mutex_);
  table_of(tables_, id).erase(number_of(id));
}

void LeaseKeyCounts::add(Tables& tables, LeaseId id) const {
  if (id == LeaseId{0}) return;
  Table& table = table_of(tables, id);
  if (table.size() < most_in_table_ || table.contains(number_of(id))) ++table[number_of(id)];
}

void LeaseKeyCounts::take(const Change& change) {
  bool came = change.now && (change.previous || change.now->created == change.now->revision);
  if (change.previous) {
    Table& table = table_of(tables_, change.previous->lease);
    auto found = table.find(number_of(change.previous->lease));
    if (found != table.end() && --found->second == 0) table.erase(found);
  }
  if (came) add(tables_, change.now->lease);
}

}  // namespace sharedlock
