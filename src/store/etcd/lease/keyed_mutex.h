#pragma once

#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/waiting.h"
#include "store/lease_store.h"

namespace sharedlock {

// Serializes the commits of this process that name the same lease id. Thread-safe; must outlive its turns.
class KeyedMutex {
 public:
  // The right to work with one id, until this is destroyed.
  class Turn {
   public:
    Turn(KeyedMutex& turns, LeaseId id) : turns_(&turns), id_(id) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), id_(other.id_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_) turns_->end(id_);
    }

   private:
    KeyedMutex* turns_;
    LeaseId id_;
  };

  // Waits for earlier turns with this id; each of them limits its own time.
  Task<Turn> take(LeaseId id);

 private:
  void enlist(LeaseId id, Waiting<bool> waiting);
  void end(LeaseId id);

  std::mutex mutex_;
  std::unordered_map<LeaseId, std::deque<Waiting<bool>>> waiting_;  // an element per id with a turn under way
};

}  // namespace sharedlock
