#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "store/lease_store.h"

namespace sharedlock::test {

// A store in front of another one that goes wrong on demand, as one behind a network does. Faults are queued and each
// goes to one commit, in order; without any it passes everything on. Thread-safe.
class FaultStore final : public LeaseStore {
 public:
  enum class Fault {
    none,
    answer_lost,     // the change happens, the answer says unavailable
    request_lost,    // nothing happens, the answer says unavailable
    request_over,    // nothing happens, the answer says that it was lost and can't happen later
    refused_broken,  // nothing happens, the answer says corrupt
  };

  explicit FaultStore(LeaseStore& real) : real_(real) {}

  void next_commit(Fault fault) {
    std::scoped_lock lock(mutex_);
    faults_.push_back(fault);
  }
  // All reads fail from now on, or answer again.
  void fail_reads(bool fail) { reads_fail_ = fail; }
  // Only those of how long a lease lives.
  void fail_looks_at_leases(bool fail) { looks_at_leases_fail_ = fail; }
  // From now on it says that other processes write, too.
  void others_write() { others_write_ = true; }
  // From now on no entry shows under which lease of its own it lives.
  void hide_leases() { hides_leases_ = true; }
  // Called before each commit, and after one that was passed on: to let others act, or time pass.
  std::function<void()> before_commit = [] {};
  std::function<void()> after_commit = [] {};
  std::function<void()> before_look_at_lease = [] {};  // at how long it lives
  std::function<void()> before_look_at_key = [] {};    // or at what hangs on a lease

  int reads() const { return reads_; }
  int commits() const { return commits_; }
  int settled_calls() const { return settled_calls_; }
  int looks_at_leases() const { return looks_at_leases_; }

  std::int64_t token_base() const override { return real_.token_base(); }

  Task<Result<Found>> get(std::string key, Deadline deadline) override {
    run_hook(before_look_at_key);
    ++reads_;
    if (reads_fail_) co_return away();
    auto found = co_await real_.get(std::move(key), deadline);
    if (found) hide(found->entry);
    co_return found;
  }

  Task<Result<Outcome>> commit(Transaction transaction, Deadline deadline) override {
    run_hook(before_commit);
    ++commits_;
    Fault fault = take_fault();
    if (fault == Fault::request_lost) co_return away();
    if (fault == Fault::request_over) co_return Error{Errc::unanswered, "planted"};
    if (fault == Fault::refused_broken) co_return Error{Errc::corrupt, "planted"};
    auto outcome = co_await real_.commit(std::move(transaction), deadline);
    run_hook(after_commit);
    if (fault == Fault::answer_lost) co_return away();
    auto* conflict = outcome ? std::get_if<Conflict>(&*outcome) : nullptr;
    if (conflict) {
      for (auto& entry : conflict->current) hide(entry);
    }
    co_return outcome;
  }

  Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline deadline) override {
    co_return co_await real_.keep_alive(id, std::move(under), deadline);
  }
  Task<Result<void>> revoke(LeaseId id, std::string under, Deadline deadline) override {
    co_return co_await real_.revoke(id, std::move(under), deadline);
  }
  Task<Result<std::optional<LeaseInfo>>> lease(LeaseId id, Deadline deadline) override {
    run_hook(before_look_at_key);
    co_return co_await real_.lease(id, deadline);
  }
  Task<Result<std::optional<LeaseLife>>> lease_life(LeaseId id, Deadline deadline) override {
    run_hook(before_look_at_lease);
    ++looks_at_leases_;
    if (reads_fail_ || looks_at_leases_fail_) co_return away();
    co_return co_await real_.lease_life(id, deadline);
  }
  Task<Result<void>> settled(Revision as_of, Deadline deadline) override {
    ++settled_calls_;
    co_return co_await real_.settled(as_of, deadline);
  }
  Task<Result<Listing>> list(std::string prefix, std::string after, std::size_t limit, Deadline deadline) override {
    co_return co_await real_.list(std::move(prefix), std::move(after), limit, deadline);
  }
  Subscription watch(std::string prefix, std::optional<Revision> after, WatchHandler handler) override {
    return real_.watch(std::move(prefix), after, std::move(handler));
  }

  bool is_shared() const override { return others_write_ || real_.is_shared(); }

  Subscription follow(std::string prefix, WatchHandler handler) override {
    auto hiding = [this, handler = std::move(handler)](WatchEvent event) {
      if (auto* batch = std::get_if<ChangeBatch>(&event)) {
        for (Change& change : batch->changes) hide(change.now);
      }
      handler(event);
    };
    return real_.follow(std::move(prefix), std::move(hiding));
  }

 private:
  // By value: a hook may replace itself.
  static void run_hook(std::function<void()> hook) { hook(); }

  void hide(std::optional<Entry>& entry) const {
    constexpr LeaseId kShared{(std::int64_t{0x53484C} << 39) | 1};  // see shown_lease()
    if (hides_leases_ && entry) entry->lease = kShared;
  }

  static Error away() { return {Errc::unavailable, "planted"}; }

  Fault take_fault() {
    std::scoped_lock lock(mutex_);
    if (faults_.empty()) return Fault::none;
    Fault fault = faults_.front();
    faults_.pop_front();
    return fault;
  }

  LeaseStore& real_;
  std::mutex mutex_;
  std::deque<Fault> faults_;
  std::atomic<bool> reads_fail_{false};
  std::atomic<bool> looks_at_leases_fail_{false};
  std::atomic<bool> others_write_{false};
  std::atomic<bool> hides_leases_{false};
  std::atomic<int> reads_{0};
  std::atomic<int> commits_{0};
  std::atomic<int> settled_calls_{0};
  std::atomic<int> looks_at_leases_{0};
};

}  // namespace sharedlock::test
