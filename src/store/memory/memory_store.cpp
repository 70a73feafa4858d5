#include "store/memory/memory_store.h"

#include <limits>
#include <mutex>
#include <type_traits>
#include <utility>

#include "store/table/expirer.h"
#include "store/table/first_revision.h"
#include "store/table/lease_table.h"
#include "store/watch_hub.h"

namespace sharedlock {

namespace {

class MemoryStore final : public LeaseStore {
 public:
  explicit MemoryStore(Clock& clock)
      : table_(first_revision(clock), random_lease_id),
        hub_(table_.revision(), [this](const std::string& prefix) { return snapshot(prefix); }),
        expirer_(clock, mutex_, table_, [this](BootTime now) { return expire_one(now); }) {}
  ~MemoryStore() override { hub_.stop(); }  // first, since its thread takes snapshots

  Task<Result<Found>> get(std::string key, Deadline) override {
    std::scoped_lock lock(mutex_);
    expirer_.expire_some();
    co_return Found{table_.get(key), table_.revision()};
  }

  Task<Result<Outcome>> commit(Transaction transaction, Deadline) override {
    std::scoped_lock lock(mutex_);
    BootTime now = expirer_.expire_some();
    auto outcome =
        change([&](std::vector<Change>* changes) { return table_.commit(std::move(transaction), now, changes); });
    expirer_.look_again();
    co_return outcome;
  }

  Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline) override {
    std::scoped_lock lock(mutex_);
    BootTime now = expirer_.expire_some();
    co_return table_.keep_alive(id, under, now);
  }

  Task<Result<void>> revoke(LeaseId id, std::string under, Deadline) override {
    std::scoped_lock lock(mutex_);
    expirer_.expire_some();
    co_return change([&](std::vector<Change>* changes) { return table_.revoke(id, under, changes); });
  }

  Task<Result<std::optional<LeaseInfo>>> lease(LeaseId id, Deadline) override {
    std::scoped_lock lock(mutex_);
    BootTime now = expirer_.expire_some();
    co_return table_.lease(id, now);
  }

  Task<Result<std::optional<LeaseLife>>> lease_life(LeaseId id, Deadline) override {
    std::scoped_lock lock(mutex_);
    expirer_.expire_some();
    co_return table_.lease_life(id);
  }

  Task<Result<void>> settled(Revision, Deadline) override { co_return Result<void>(); }

  Task<Result<Listing>> list(std::string prefix, std::string after, std::size_t limit, Deadline) override {
    std::scoped_lock lock(mutex_);
    expirer_.expire_some();
    co_return table_.list(prefix, after, limit);
  }

  Subscription watch(std::string prefix, std::optional<Revision> after, WatchHandler handler) override {
    return hub_.subscribe(std::move(prefix), after, std::move(handler));
  }

  Subscription follow(std::string prefix, WatchHandler handler) override {
    return hub_.subscribe(std::move(prefix), std::nullopt, std::move(handler), WatchHub::Snapshots::empty);
  }

 private:
  // Runs one change of the table, with the lock held, and announces its changes.
  template <class ChangeTable>
  std::invoke_result_t<ChangeTable, std::vector<Change>*> change(ChangeTable change_table) {
    bool recording = hub_.recording();
    Revision before = table_.revision();
    std::vector<Change> changes;
    auto result = change_table(recording ? &changes : nullptr);
    if (table_.revision() != before) hub_.publish(table_.revision(), std::move(changes));
    return result;
  }

  bool expire_one(BootTime now) {
    return change([&](std::vector<Change>* changes) { return table_.expire_one(now, changes); });
  }

  std::optional<Snapshot> snapshot(const std::string& prefix) {
    std::scoped_lock lock(mutex_);
    expirer_.expire_some();
    Listing all = table_.list(prefix, "", std::numeric_limits<std::size_t>::max());
    return Snapshot{.as_of = all.as_of, .entries = std::move(all.entries)};
  }

  std::mutex mutex_;
  LeaseTable table_;
  WatchHub hub_;
  Expirer expirer_;
};

}  // namespace

std::unique_ptr<LeaseStore> make_memory_store(Clock& clock) {
  return std::make_unique<MemoryStore>(clock);
}

}  // namespace sharedlock
