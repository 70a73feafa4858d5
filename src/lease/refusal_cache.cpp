#include "lease/refusal_cache.h"

#include <utility>

namespace sharedlock {

Subscription RefusalCache::follow(LeaseStore& store, std::string prefix) {
  return store.watch(std::move(prefix), std::nullopt, [this](const WatchEvent& event) { on_event(event); });
}

std::optional<LeaseId> RefusalCache::find(const std::string& key) {
  std::scoped_lock lock(mutex_);
  auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    ++counts_.misses;
    return std::nullopt;
  }
  ++counts_.hits;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->holder;
}

void RefusalCache::fill(const std::string& key, LeaseId holder, Revision as_of) {
  std::scoped_lock lock(mutex_);
  if (!told_ || !live_ || as_of < *told_) return;
  auto [found, first] = by_key_.try_emplace(key, by_use_.end());
  if (!first) {
    ++counts_.updated;
    found->second->holder = holder;
    return;
  }
  ++counts_.filled;
  by_use_.push_front({key, holder});
  found->second = by_use_.begin();
  if (by_use_.size() <= size_) return;
  ++counts_.evicted;
  by_key_.erase(by_use_.back().key);
  by_use_.pop_back();
}

void RefusalCache::drop(const std::string& key) {
  std::scoped_lock lock(mutex_);
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  by_use_.erase(found->second);
  by_key_.erase(found);
}

void RefusalCache::on_event(const WatchEvent& event) {
  std::scoped_lock lock(mutex_);
  if (auto* liveness = std::get_if<Liveness>(&event)) {
    live_ = liveness->live;
    if (!live_) clear();
  } else if (auto* snapshot = std::get_if<Snapshot>(&event)) {
    told_ = snapshot->as_of;
    clear();
  } else {
    const auto& batch = std::get<ChangeBatch>(event);
    for (const Change& change : batch.changes) take(change);
    told_ = batch.revision;
  }
}

// Only for keys that are in it: a key that was never refused needs no room.
void RefusalCache::take(const Change& change) {
  auto found = by_key_.find(change.key);
  if (found == by_key_.end()) return;
  if (change.now) {
    found->second->holder = shown_lease(*change.now).value_or(kNotShown);
    return;
  }
  ++counts_.ended;
  by_use_.erase(found->second);
  by_key_.erase(found);
}

void RefusalCache::clear() {
  by_use_.clear();
  by_key_.clear();
}

RefusalCacheCounts RefusalCache::counts() const {
  std::scoped_lock lock(mutex_);
  return counts_;
}

}  // namespace sharedlock
