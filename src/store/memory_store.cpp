#include "store/memory_store.h"

#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/random.h"
#include "store/lease_table.h"
#include "store/watch_hub.h"

namespace sharedlock {

namespace {

LeaseId random_lease_id() {
  std::uint64_t id = random_bits() >> 1;
  return LeaseId{static_cast<std::int64_t>(id == 0 ? 1 : id)};
}

// Microseconds since 1970 stay below 2^53 until the year 2255, so a token is exact in every JSON reader.
Revision first_revision(const Clock& clock) {
  auto since_epoch = clock.wall_now().time_since_epoch();
  return Revision{std::chrono::floor<std::chrono::microseconds>(since_epoch).count()};
}

class MemoryStore final : public LeaseStore {
 public:
  explicit MemoryStore(Clock& clock)
      : clock_(clock),
        table_(first_revision(clock), random_lease_id),
        hub_(table_.revision(), [this](const std::string& prefix) { return snapshot(prefix); }),
        expirer_([this] { expire_until_stopped(); }) {}

  ~MemoryStore() override {
    {
      std::scoped_lock lock(mutex_);
      stopping_ = true;
      wake_.notify_all();
    }
    expirer_.join();
  }

  Task<Result<Found>> get(std::string key, Deadline) override {
    std::scoped_lock lock(mutex_);
    expire_some(clock_.boot_now());
    co_return Found{table_.get(key), table_.revision()};
  }

  Task<Result<Outcome>> commit(Transaction transaction, Deadline) override {
    std::scoped_lock lock(mutex_);
    BootTime now = clock_.boot_now();
    expire_some(now);
    auto outcome =
        change([&](std::vector<Change>* changes) { return table_.commit(std::move(transaction), now, changes); });
    if (table_.next_expiry() < expirer_wakes_) wake_.notify_all();
    co_return outcome;
  }

  Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline) override {
    std::scoped_lock lock(mutex_);
    BootTime now = clock_.boot_now();
    expire_some(now);
    co_return table_.keep_alive(id, under, now);
  }

  Task<Result<void>> revoke(LeaseId id, std::string under, Deadline) override {
    std::scoped_lock lock(mutex_);
    expire_some(clock_.boot_now());
    co_return change([&](std::vector<Change>* changes) { return table_.revoke(id, under, changes); });
  }

  Task<Result<std::optional<LeaseInfo>>> lease(LeaseId id, Deadline) override {
    std::scoped_lock lock(mutex_);
    BootTime now = clock_.boot_now();
    expire_some(now);
    co_return table_.lease(id, now);
  }

  Task<Result<void>> settled(Revision, Deadline) override { co_return Result<void>(); }

  Task<Result<Listing>> list(std::string prefix, std::string after, std::size_t limit, Deadline) override {
    std::scoped_lock lock(mutex_);
    expire_some(clock_.boot_now());
    co_return table_.list(prefix, after, limit);
  }

  Subscription watch(std::string prefix, std::optional<Revision> after, WatchHandler handler) override {
    return hub_.subscribe(std::move(prefix), after, std::move(handler));
  }

 private:
  // Runs one change of the table, lock held, and announces what it changed.
  template <class ChangeTable>
  std::invoke_result_t<ChangeTable, std::vector<Change>*> change(ChangeTable change_table) {
    bool recording = hub_.recording();
    Revision before = table_.revision();
    std::vector<Change> changes;
    auto result = change_table(recording ? &changes : nullptr);
    if (table_.revision() != before) hub_.publish(table_.revision(), std::move(changes));
    return result;
  }

  // Ends leases whose time has come; false when there may be more. Bounded, since whoever calls it holds the lock:
  // the rest follows with the next call, or by the thread.
  bool expire_some(BootTime now) {
    constexpr int kAtOnce = 64;
    for (int ended = 0; ended < kAtOnce; ++ended) {
      if (!change([&](std::vector<Change>* changes) { return table_.expire_one(now, changes); })) return true;
    }
    return false;
  }

  void expire_until_stopped() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (!expire_some(clock_.boot_now())) {
        lock.unlock();
        std::this_thread::yield();
        lock.lock();
        continue;
      }
      expirer_wakes_ = table_.next_expiry();
      clock_.wait_until(lock, wake_, expirer_wakes_);
      expirer_wakes_ = BootTime::min();
    }
  }

  Snapshot snapshot(const std::string& prefix) {
    std::scoped_lock lock(mutex_);
    expire_some(clock_.boot_now());
    Listing all = table_.list(prefix, "", std::numeric_limits<std::size_t>::max());
    return {.as_of = all.as_of, .entries = std::move(all.entries)};
  }

  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  BootTime expirer_wakes_ = BootTime::min();
  LeaseTable table_;
  WatchHub hub_;
  std::thread expirer_;
};

}  // namespace

std::unique_ptr<LeaseStore> make_memory_store(Clock& clock) {
  return std::make_unique<MemoryStore>(clock);
}

}  // namespace sharedlock
