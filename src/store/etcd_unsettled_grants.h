#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "store/lease_store.h"

namespace sharedlock {

// Grants that may be carried out yet: so it can't be said of their ids that there is nothing to undo. One is settled
// when nobody tries it any more, and what was sent for it can no longer be done. Thread-safe.
class EtcdUnsettledGrants {
 public:
  // As long as somebody has it, what was sent for a grant is still being tried.
  using Trace = std::weak_ptr<const void>;

  // `epochs_ended`: whether nothing that was sent and given up without an answer can be done any more.
  explicit EtcdUnsettledGrants(std::function<bool()> epochs_ended) : epochs_ended_(std::move(epochs_ended)) {}

  // An id may have several, of one request and its repeats.
  void add(LeaseId id, Trace trace) {
    std::scoped_lock lock(mutex_);
    grants_.emplace(id, std::move(trace));
    if (grants_.size() >= look_again_at_) forget_settled();
  }

  // What became of the one with that trace is known.
  void answered(LeaseId id, const Trace& trace) {
    std::scoped_lock lock(mutex_);
    auto [first, last] = grants_.equal_range(id);
    auto same = [&](const auto& each) { return !each.second.owner_before(trace) && !trace.owner_before(each.second); };
    auto found = std::find_if(first, last, same);
    if (found != last) grants_.erase(found);
  }

  bool is_settled(LeaseId id) {
    std::scoped_lock lock(mutex_);
    auto [first, last] = grants_.equal_range(id);
    bool settled = std::all_of(first, last, [this](const auto& each) { return is_over(each.second); });
    if (settled) grants_.erase(first, last);
    return settled;
  }

  std::size_t size() const {
    std::scoped_lock lock(mutex_);
    return grants_.size();
  }

 private:
  // In this order: what was given up without an answer has by then been left to the end of its epoch.
  bool is_over(const Trace& trace) const { return trace.expired() && epochs_ended_(); }

  void forget_settled() {
    std::erase_if(grants_, [this](const auto& each) { return is_over(each.second); });
    look_again_at_ = std::max<std::size_t>(1024, grants_.size() * 2);
  }

  const std::function<bool()> epochs_ended_;
  mutable std::mutex mutex_;
  std::unordered_multimap<LeaseId, Trace> grants_;
  std::size_t look_again_at_ = 1024;  // those that nobody asks for are forgotten when there are so many
};

}  // namespace sharedlock
