#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lock/decided.h"
#include "queue/queue_state.h"
#include "store/lease_store.h"

namespace sharedlock {

// Locks that change in one commit, with the entries of a waiter that has waited for them: what is known to stand there,
// and what the next commit expects and changes. Not thread-safe.
class LockTransaction {
 public:
  explicit LockTransaction(std::vector<std::string> keys);

  // Where a lock changes hands its queue must be empty: queues[i] for keys[i].
  void keep_clear(std::vector<std::string> queues) { queues_ = std::move(queues); }
  // These entries are erased too; as long as they are known to stand unchanged, the commit expects that.
  void give_up(QueueState::Join entries) { entries_ = std::move(entries); }

  const std::vector<std::string>& keys() const { return keys_; }
  // As seen last; before the first look, as if nothing stood there.
  const Few<std::optional<Entry>>& stands() const { return stands_; }
  bool is_queued(std::size_t i) const { return in_queue_[i]; }  // its queue is not empty, so keys[i] can't change hands
  QueueState::EntryFate entries() const { return entries_stand_; }
  Revision as_of() const { return as_of_; }

  // Changes nothing and always conflicts; the conflict is for saw().
  Transaction look() const;
  void saw(Conflict conflict);

  // Carries out these decisions, if all is still as it was seen: then call won(), else lost().
  Transaction change(const std::vector<Decided>& all) const;
  void lost(Conflict conflict, const std::vector<Decided>& all);
  void won(Revision revision) { as_of_ = revision; }

 private:
  bool is_newcomer(const Decided& one) const;
  bool expects_entries() const { return entries_stand_ == QueueState::EntryFate::there; }

  std::vector<std::string> keys_;
  std::vector<std::string> queues_;
  QueueState::Join entries_;
  QueueState::EntryFate entries_stand_ = QueueState::EntryFate::there;
  Few<std::optional<Entry>> stands_;
  std::vector<bool> in_queue_;
  Revision as_of_{};
};

}  // namespace sharedlock
