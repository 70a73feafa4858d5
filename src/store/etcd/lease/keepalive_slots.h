#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "store/lease_store.h"

namespace sharedlock {

// Matches renewals with the answers of one keepalive stream (R9). A request keeps its slot until its answer or the
// stream's end, even when all its waiters have given up. An answer is for the oldest slot with its id. A renewal joins
// a slot only until the slot's request is sent, so that no answer is older than the question. `Waiter` is movable. Not
// thread-safe.
template <class Waiter>
class KeepaliveSlots {
 public:
  struct Answered {
    std::vector<Waiter> waiters;
    BootTime sent;
  };

  // Adds a renewal that gives up at `deadline`.
  void ask(LeaseId id, Waiter waiter, Deadline deadline) {
    auto same_id = [id](const Slot& slot) { return slot.id == id; };
    auto slot = std::find_if(unsent_.begin(), unsent_.end(), same_id);
    if (slot == unsent_.end()) slot = unsent_.insert(unsent_.end(), Slot{id, {}, {}});
    slot->asking.push_back({std::move(waiter), deadline});
  }

  // The request to send next; from this call on it counts as sent.
  std::optional<LeaseId> send_next(BootTime now) {
    while (!unsent_.empty()) {
      Slot slot = std::move(unsent_.front());
      unsent_.pop_front();
      if (slot.asking.empty()) continue;
      slot.sent = now;
      sent_.push_back(std::move(slot));
      return sent_.back().id;
    }
    return std::nullopt;
  }

  // The stream has answered for `id`. Returns the waiters and when the request was sent; nothing when none was sent.
  std::optional<Answered> answered(LeaseId id) {
    auto same_id = [id](const Slot& slot) { return slot.id == id; };
    auto slot = std::find_if(sent_.begin(), sent_.end(), same_id);
    if (slot == sent_.end()) return std::nullopt;
    Answered done{{}, slot->sent};
    for (Asking& asking : slot->asking) done.waiters.push_back(std::move(asking.waiter));
    sent_.erase(slot);
    return done;
  }

  // Removes and returns the waiters past their deadlines; their slots stay.
  std::vector<Waiter> take_late(BootTime now) {
    std::vector<Waiter> late;
    for (auto* slots : {&sent_, &unsent_}) {
      for (Slot& slot : *slots) {
        auto is_late = [now](const Asking& asking) { return asking.deadline.at <= now; };
        auto first = std::stable_partition(slot.asking.begin(), slot.asking.end(), std::not_fn(is_late));
        for (auto it = first; it != slot.asking.end(); ++it) late.push_back(std::move(it->waiter));
        slot.asking.erase(first, slot.asking.end());
      }
    }
    return late;
  }

  // The stream has ended: requests that still have waiters are sent again, before all others.
  void stream_ended() {
    while (!sent_.empty()) {
      if (!sent_.back().asking.empty()) unsent_.push_front(std::move(sent_.back()));
      sent_.pop_back();
    }
  }

  // When the oldest unanswered request was sent.
  std::optional<BootTime> oldest_sent() const {
    return sent_.empty() ? std::nullopt : std::optional(sent_.front().sent);
  }

  // Whether a request is waiting to be sent; whether any renewal waits.
  bool has_unsent() const { return std::any_of(unsent_.begin(), unsent_.end(), is_asked); }
  bool has_waiters() const { return has_unsent() || std::any_of(sent_.begin(), sent_.end(), is_asked); }

 private:
  struct Asking {
    Waiter waiter;
    Deadline deadline;
  };
  struct Slot {
    LeaseId id;
    std::vector<Asking> asking;
    BootTime sent;
  };

  static bool is_asked(const Slot& slot) { return !slot.asking.empty(); }

  std::deque<Slot> unsent_;
  std::deque<Slot> sent_;  // in sending order
};

}  // namespace sharedlock
