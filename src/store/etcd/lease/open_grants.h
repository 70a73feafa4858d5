#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "store/lease_store.h"

namespace sharedlock {

// Grants that may still be carried out: while there is one, its id can't be reported as having nothing to undo. One is
// over when nothing tries it any more, and requests sent for it can no longer be carried out. Thread-safe.
class EtcdOpenGrants {
 public:
  // While a copy exists, requests sent for a grant are still being tried.
  using Trace = std::weak_ptr<const void>;

  // `epochs_ended`: whether no request that was sent and given up without an answer can still be carried out. Without
  // space (R18) puts are sent outside any epoch: they are carried out within some time, or never. `lacked_space_since`:
  // whether such puts may have been sent since then.
  EtcdOpenGrants(std::function<bool()> epochs_ended, std::function<bool(BootTime then)> lacked_space_since,
                 const Clock& clock)
      : epochs_ended_(std::move(epochs_ended)), lacked_space_since_(std::move(lacked_space_since)), clock_(clock) {}

  // Call it before one is sent, with the time at which its request began, or once it is known that an attempt may be
  // left. An id may have several, of one request and its repeats.
  void add(LeaseId id, Trace trace, BootTime began) {
    BootTime now = clock_.boot_now();
    std::scoped_lock lock(mutex_);
    grants_.emplace(id, Grant{std::move(trace), began, std::nullopt});
    if (grants_.size() >= look_again_at_) forget_those_over(now);
  }

  // Whether an attempt of a request that began then, and was answered, may be left: its epoch has not ended, or it was
  // outside any.
  bool attempt_may_be_left(BootTime began) const { return !epochs_ended_() || lacked_space_since_(began); }

  // The outcome of the one with that trace is known.
  void answered(LeaseId id, const Trace& trace) {
    std::scoped_lock lock(mutex_);
    auto [first, last] = grants_.equal_range(id);
    auto known = std::find_if(first, last, [&](const auto& each) {
      return !each.second.trace.owner_before(trace) && !trace.owner_before(each.second.trace);
    });
    if (known != last) grants_.erase(known);
  }

  // Whether all with that id are over.
  bool is_over(LeaseId id) {
    BootTime now = clock_.boot_now();
    std::scoped_lock lock(mutex_);
    auto [first, last] = grants_.equal_range(id);
    bool over = std::all_of(first, last, [&](const auto& each) { return is_over(each.second, now); });
    if (over) grants_.erase(first, last);
    return over;
  }

  std::size_t size() const {
    std::scoped_lock lock(mutex_);
    return grants_.size();
  }

 private:
  struct Grant {
    Trace trace;
    BootTime began;
    // It can't be over earlier; set when it is first seen to be tried no more.
    mutable std::optional<BootTime> not_before = std::nullopt;
  };
  using Grants = std::unordered_multimap<LeaseId, Grant>;

  // etcd gives up on its own requests after seven seconds.
  static constexpr std::chrono::seconds kLatePut{10};

  // The trace first: by then, attempts given up without an answer have been left to the end of their epoch.
  bool is_over(const Grant& grant, BootTime now) const {
    if (!grant.trace.expired()) return false;
    if (!grant.not_before) grant.not_before = lacked_space_since_(grant.began) ? now + kLatePut : BootTime();
    return now >= *grant.not_before && epochs_ended_();
  }

  void forget_those_over(BootTime now) {
    std::erase_if(grants_, [&](const auto& each) { return is_over(each.second, now); });
    look_again_at_ = std::max<std::size_t>(1024, grants_.size() * 2);
  }

  const std::function<bool()> epochs_ended_;
  const std::function<bool(BootTime then)> lacked_space_since_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  Grants grants_;
  std::size_t look_again_at_ = 1024;  // at this size, those that nothing asks for are forgotten
};

}  // namespace sharedlock
