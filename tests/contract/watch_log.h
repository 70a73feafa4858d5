#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/lease_store.h"
#include "support/eventually.h"
#include "support/store_printers.h"

namespace sharedlock::test {

// A watch that writes down what it is told, replays it to a state, and notes whatever a watch must never do. Its store
// must outlive it. Thread-safe.
class WatchLog {
 public:
  // Watches entries under `prefix`; with `after`, the state at that revision was `state`.
  WatchLog(LeaseStore& store, std::string prefix, std::optional<Revision> after = std::nullopt,
           std::map<std::string, Entry> state = {})
      : prefix_(std::move(prefix)), revision_(after), state_(std::move(state)) {
    subscription_ = store.watch(prefix_, after, handler());
  }

  // Records without a store of its own: for tests that subscribe by themselves.
  explicit WatchLog(std::string prefix, std::optional<Revision> after = std::nullopt,
                    std::map<std::string, Entry> state = {})
      : prefix_(std::move(prefix)), revision_(after), state_(std::move(state)) {}
  WatchHandler handler() {
    return [this](const WatchEvent& event) { note(event); };
  }

  // Waits until the replayed state is `state`.
  [[nodiscard]] bool reaches(const std::map<std::string, Entry>& state) const {
    return eventually([&] { return this->state() == state; });
  }
  // Waits for the first Snapshot, after which it is told each change by itself; for `count` batches of changes.
  [[nodiscard]] bool has_begun() const {
    return eventually([&] { return !snapshots().empty(); });
  }
  [[nodiscard]] bool has_batches(std::size_t count) const {
    return eventually([&] { return batches().size() >= count; });
  }

  // Up to where it was told, and the state there.
  std::optional<Revision> revision() const { return locked(revision_); }
  std::map<std::string, Entry> state() const { return locked(state_); }
  std::vector<Snapshot> snapshots() const { return locked(snapshots_); }
  std::vector<ChangeBatch> batches() const { return locked(batches_); }
  // What was told in violation of the contract: expected to be empty.
  std::vector<std::string> faults() const { return locked(faults_); }

  // Ends the watch.
  void stop() { subscription_ = Subscription(); }

 private:
  template <class T>
  T locked(const T& member) const {
    std::scoped_lock lock(mutex_);
    return member;
  }

  void note(const WatchEvent& event) {
    std::scoped_lock lock(mutex_);
    if (auto* snapshot = std::get_if<Snapshot>(&event)) note_snapshot(*snapshot);
    if (auto* batch = std::get_if<ChangeBatch>(&event)) note_batch(*batch);
  }

  void note_snapshot(const Snapshot& snapshot) {
    snapshots_.push_back(snapshot);
    revision_ = snapshot.as_of;
    state_.clear();
    for (const auto& [key, entry] : snapshot.entries) {
      if (!state_.empty() && key <= state_.rbegin()->first) fault("snapshot out of key order", key);
      if (!key.starts_with(prefix_)) fault("foreign key in a snapshot", key);
      if (entry.revision > snapshot.as_of) fault("snapshot older than its entry", key);
      state_[key] = entry;
    }
  }

  void note_batch(const ChangeBatch& batch) {
    batches_.push_back(batch);
    if (!revision_) fault("changes before the first snapshot", "");
    if (revision_ && batch.revision <= *revision_) fault("revisions do not grow", "");
    if (batch.changes.empty()) fault("an empty batch", "");
    revision_ = batch.revision;
    std::set<std::string> changed;
    for (const Change& change : batch.changes) {
      if (!change.key.starts_with(prefix_)) fault("foreign key in a batch", change.key);
      if (!changed.insert(change.key).second) fault("a key twice in a batch", change.key);
      change.now ? note_put(batch, change) : note_gone(change);
    }
  }

  void note_put(const ChangeBatch& batch, const Change& change) {
    auto before = state_.find(change.key);
    Revision created = before == state_.end() ? batch.revision : before->second.created;
    if (change.now->revision != batch.revision) fault("a put of another revision than its batch", change.key);
    if (change.now->created != created) fault("a put with an unexpected creation", change.key);
    state_[change.key] = *change.now;
  }

  void note_gone(const Change& change) {
    auto before = state_.find(change.key);
    if (before == state_.end()) return fault("gone, but was not there", change.key);
    if (change.previous != before->second) fault("gone with another entry than was there", change.key);
    state_.erase(before);
  }

  void fault(const std::string& what, const std::string& key) { faults_.push_back(what + ": " + key); }

  const std::string prefix_;
  mutable std::mutex mutex_;
  std::optional<Revision> revision_;
  std::map<std::string, Entry> state_;
  std::vector<Snapshot> snapshots_;
  std::vector<ChangeBatch> batches_;
  std::vector<std::string> faults_;
  Subscription subscription_;  // ends before what its handler uses
};

}  // namespace sharedlock::test
