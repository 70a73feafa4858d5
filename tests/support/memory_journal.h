#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "store/embedded/journal.h"
#include "support/eventually.h"

namespace sharedlock::test {

// What batches leave behind, one after the other: the state that a journal would load.
class JournalReplay {
 public:
  void apply(const JournalBatch& batch) {
    if (batch.reserved) reserved_ = *batch.reserved;
    for (const JournalWrite& write : batch.writes) std::visit([this](const auto& w) { apply_one(w); }, write);
  }

  const std::map<std::string, Entry>& entries() const { return entries_; }
  const std::map<LeaseId, JournalLease>& leases() const { return leases_; }
  Revision reserved() const { return reserved_; }

  JournalState state() const {
    JournalState state{.entries = {entries_.begin(), entries_.end()}, .leases = {}, .reserved = reserved_};
    for (const auto& [id, lease] : leases_) state.leases.push_back(lease);
    return state;
  }

 private:
  void apply_one(const KeyedEntry& put) { entries_[put.first] = put.second; }
  void apply_one(const EraseEntry& erase) { entries_.erase(erase.key); }
  void apply_one(const JournalLease& lease) { leases_.insert_or_assign(lease.id, lease); }
  void apply_one(const EndLease& end) { leases_.erase(end.id); }

  std::map<std::string, Entry> entries_;
  std::map<LeaseId, JournalLease> leases_;
  Revision reserved_{};
};

// A disk in memory, which outlives the stores that write to it, and goes wrong on demand. Thread-safe.
class MemoryDisk {
 public:
  enum class Failure {
    lost,    // the batch is not on the disk
    landed,  // it is, although the append fails
  };

  // The append that is the `index`-th (from 0) on this disk fails, in that way.
  void fail_append(std::size_t index, Failure failure) {
    std::scoped_lock lock(mutex_);
    fails_at_ = index;
    failure_ = failure;
  }

  // From now on appends hang, until release().
  void block() {
    std::scoped_lock lock(mutex_);
    blocked_ = true;
  }
  void release() {
    std::scoped_lock lock(mutex_);
    blocked_ = false;
    released_.notify_all();
  }
  // Waits until an append hangs.
  [[nodiscard]] bool hangs() const {
    return eventually([this] {
      std::scoped_lock lock(mutex_);
      return hanging_;
    });
  }

  // A crash: only the first `count` batches are there. Without a store that has it open.
  void forget_after(std::size_t count) {
    std::scoped_lock lock(mutex_);
    batches_.resize(std::min(count, batches_.size()));
    appends_ = batches_.size();
    fails_at_.reset();
  }

  // What is on the disk, and how many appends were tried.
  std::vector<JournalBatch> batches() const {
    std::scoped_lock lock(mutex_);
    return batches_;
  }
  std::size_t appends() const {
    std::scoped_lock lock(mutex_);
    return appends_;
  }
  JournalReplay replay() const { return replay(std::numeric_limits<std::size_t>::max()); }
  JournalReplay replay(std::size_t count) const {
    std::scoped_lock lock(mutex_);
    JournalReplay replay;
    for (std::size_t i = 0; i < std::min(count, batches_.size()); ++i) replay.apply(batches_[i]);
    return replay;
  }

  Result<void> append(const JournalBatch& batch) {
    std::unique_lock lock(mutex_);
    hanging_ = blocked_;
    released_.wait(lock, [this] { return !blocked_; });
    hanging_ = false;
    bool fails = fails_at_ == appends_++;
    if (!fails || failure_ == Failure::landed) batches_.push_back(batch);
    if (fails) return Error{Errc::unavailable, "planted"};
    return {};
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable released_;
  std::vector<JournalBatch> batches_;
  std::size_t appends_ = 0;
  std::optional<std::size_t> fails_at_;
  Failure failure_ = Failure::lost;
  bool blocked_ = false;
  bool hanging_ = false;
};

// The journal on such a disk. The disk lives as long as its last user.
class MemoryJournal final : public Journal {
 public:
  explicit MemoryJournal(std::shared_ptr<MemoryDisk> disk) : disk_(std::move(disk)) {}

  Result<JournalState> load() override { return disk_->replay().state(); }
  // What is appended at once is one batch on the disk.
  Result<void> append(const JournalGroup& group) override {
    JournalBatch all;
    for (const JournalBatch& batch : group) {
      all.writes.insert(all.writes.end(), batch.writes.begin(), batch.writes.end());
      if (batch.reserved) all.reserved = batch.reserved;
    }
    return disk_->append(all);
  }

 private:
  std::shared_ptr<MemoryDisk> disk_;
};

// A journal that keeps nothing and returns at once, for tests in which the disk plays no part.
class NullJournal final : public Journal {
 public:
  Result<JournalState> load() override { return JournalState(); }
  Result<void> append(const JournalGroup&) override { return {}; }
};

}  // namespace sharedlock::test
