#include "store/embedded/embedded_store.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "store/embedded/group_commit.h"
#include "store/table/expirer.h"
#include "store/table/first_revision.h"
#include "store/table/lease_table.h"
#include "store/table/paged_snapshot.h"
#include "store/watch_hub.h"

namespace sharedlock {

namespace {

using Ticket = GroupCommit::Ticket;

class EmbeddedStore final : public LeaseStore, private GroupCommit::Listener, private LeaseObserver {
 public:
  EmbeddedStore(Revision last, std::int64_t block, std::unique_ptr<Journal> journal, Clock& clock, Log& log)
      : clock_(clock),
        log_(log),
        table_(last, random_lease_id, this),
        hub_(last, [this](const std::string& prefix) { return snapshot(prefix); }),
        disk_(std::move(journal), last, clock, *this),
        block_(block),
        usable_(last),
        reserved_(last),
        expirer_(clock, mutex_, table_, [this](BootTime now) { return expire_one(now); }) {}

  // The hub's thread may be waiting for the disk, and the disk's thread notifies the hub.
  ~EmbeddedStore() override {
    hub_.stop();
    give_back_reserved();
  }

  // Restores what the journal held and reserves the first revisions. Called before all other calls.
  Result<void> begin(JournalState state) {
    Ticket reservation{};
    {
      std::scoped_lock lock(mutex_);
      if (!restore(std::move(state))) {
        return Error{Errc::corrupt, "the journal is damaged: its leases, entries and revisions do not fit together"};
      }
      JournalBatch first_block{.writes = {}, .reserved = reserve()};
      reservation = disk_.add(table_.revision(), std::move(first_block), std::nullopt);
      usable_ = reserved_;  // no caller sees any of it before this returns
      expirer_.look_again();
    }
    begun_ = disk_.wait_until_durable(reservation);
    return begun_ ? Result<void>() : Error{Errc::unavailable, disk_.failure()};
  }

  Task<Result<Found>> get(std::string key, Deadline) override {
    std::scoped_lock lock(mutex_);
    if (auto failed = failure()) co_return *failed;
    expirer_.expire_some();
    co_return Found{table_.get(key), table_.revision()};
  }

  Task<Result<Outcome>> commit(Transaction transaction, Deadline deadline) override {
    Applied applied = apply(std::move(transaction));
    bool committed = applied.outcome && std::holds_alternative<Committed>(*applied.outcome);
    if (!committed) co_return std::move(applied.outcome);
    auto durable = co_await disk_.durable(applied.ticket, deadline);
    if (!durable) co_return durable.error();
    co_return std::move(applied.outcome);
  }

  Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline deadline) override {
    Result<Ttl> ttl = Ttl();
    Ticket ticket{};
    {
      std::scoped_lock lock(mutex_);
      BootTime now = expirer_.expire_some();
      auto failed = failure();
      // After a failure too: whether the lease still lives is known, but it is not extended.
      ttl = failed ? table_.check_alive(id, under) : table_.keep_alive(id, under, now);
      if (failed) co_return ttl ? Result<Ttl>(*failed) : ttl;
      ticket = disk_.ticket_for(table_.revision());
    }
    auto durable = co_await disk_.durable(ticket, deadline);
    if (durable) co_return ttl;
    co_return unless_ended(id, under, durable.error());
  }

  Task<Result<void>> revoke(LeaseId id, std::string under, Deadline deadline) override {
    Result<void> revoked;
    Ticket ticket{};
    {
      std::scoped_lock lock(mutex_);
      if (auto failed = failure()) co_return *failed;
      expirer_.expire_some();
      revoked = change([&](auto* changes) { return table_.revoke(id, under, changes); });
      ticket = std::max(last_ticket_, disk_.ticket_for(table_.revision()));
    }
    auto durable = co_await disk_.durable(ticket, deadline);
    if (!durable) co_return durable.error();
    co_return revoked;
  }

  Task<Result<std::optional<LeaseInfo>>> lease(LeaseId id, Deadline) override {
    std::scoped_lock lock(mutex_);
    if (auto failed = failure()) co_return *failed;
    BootTime now = expirer_.expire_some();
    co_return table_.lease(id, now);
  }

  Task<Result<std::optional<LeaseLife>>> lease_life(LeaseId id, Deadline) override {
    std::scoped_lock lock(mutex_);
    if (auto failed = failure()) co_return *failed;
    expirer_.expire_some();
    co_return table_.lease_life(id);
  }

  Task<Result<void>> settled(Revision as_of, Deadline deadline) override {
    auto durable = co_await disk_.durable(disk_.ticket_for(as_of), deadline);
    co_return durable;
  }

  Task<Result<Listing>> list(std::string prefix, std::string after, std::size_t limit, Deadline) override {
    std::scoped_lock lock(mutex_);
    if (auto failed = failure()) co_return *failed;
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
  struct Applied {
    Result<Outcome> outcome;
    Ticket ticket{};  // the batch that puts it on disk
  };

  Applied apply(Transaction&& transaction) {
    std::scoped_lock lock(mutex_);
    if (auto failed = failure()) return {.outcome = *std::move(failed)};
    if (disk_.is_behind()) return {.outcome = Error{Errc::overloaded, "too much waits for the disk"}};
    BootTime now = expirer_.expire_some();
    note_durable_entries(transaction);
    auto outcome = change([&](auto* changes) { return table_.commit(std::move(transaction), now, changes); });
    expirer_.look_again();
    return {.outcome = std::move(outcome), .ticket = disk_.ticket_for(table_.revision())};
  }

  std::optional<Error> failure() const {
    if (!disk_.has_failed()) return std::nullopt;
    // The reason is only in the log: /ready shows this text to every client.
    return Error{Errc::unavailable, "the disk failed, and nothing is written until a restart; see the log"};
  }

  // What keep_alive() answers when the disk did not: a lease that ended during the wait is not reported as alive.
  Result<Ttl> unless_ended(LeaseId id, const std::string& under, Error error) {
    std::scoped_lock lock(mutex_);
    expirer_.expire_some();
    auto alive = table_.check_alive(id, under);
    return alive ? Result<Ttl>(std::move(error)) : alive;
  }

  // The state given to make_embedded_store(), which may be damaged.
  bool restore(JournalState state) {
    BootTime now = clock_.boot_now();
    bool fits = true;
    for (const JournalLease& lease : state.leases) fits &= table_.restore_lease(lease.id, lease.own, lease.ttl, now);
    for (auto& [key, entry] : state.entries) fits &= table_.restore_entry(std::move(key), std::move(entry));
    return fits;
  }

  // Runs one change of the table, with the lock held, and passes the changes on to the disk.
  template <class ChangeTable>
  std::invoke_result_t<ChangeTable, std::vector<Change>*> change(ChangeTable change_table) {
    Revision before = table_.revision();
    std::vector<Change> changes;
    auto result = change_table(&changes);
    JournalBatch batch{.writes = std::exchange(writes_, {}), .reserved = std::nullopt};
    for (const Change& change : changes) add_write(batch, change);
    bool new_revision = table_.revision() != before;
    if (new_revision) batch.reserved = reserve();
    if (paging_) paging_->note(changes);
    std::optional<ChangeBatch> told;
    if (new_revision) told = ChangeBatch{table_.revision(), {}};
    if (told && hub_.recording()) told->changes = std::move(changes);
    durable_before_.clear();
    if (!told && batch.empty()) return result;
    bool reserves = batch.reserved.has_value();
    last_ticket_ = disk_.add(table_.revision(), std::move(batch), std::move(told));
    if (reserves) reservation_ = last_ticket_;
    return result;
  }

  // Queue entries live only in the table, even when one takes the key of an entry that is on disk.
  void add_write(JournalBatch& batch, const Change& change) const {
    const Entry& entry = change.now ? *change.now : *change.previous;
    bool is_volatile = table_.is_session(entry.lease);
    if (change.now && !is_volatile) {
      batch.writes.emplace_back(KeyedEntry(change.key, entry));
    } else if (!is_volatile || std::ranges::find(durable_before_, change.key) != durable_before_.end()) {
      batch.writes.emplace_back(EraseEntry{change.key});
    }
  }

  // Before a commit: which of its session entries will replace one that is on disk.
  void note_durable_entries(const Transaction& transaction) {
    for (const Mutation& mutation : transaction.changes) {
      const Put* put = std::get_if<Put>(&mutation);
      if (!put || !std::holds_alternative<SessionLease>(put->lifetime)) continue;
      auto entry = table_.get(put->key);
      if (entry && !table_.is_session(entry->lease)) durable_before_.push_back(put->key);
    }
  }

  // Revisions come from blocks; the end of a block is on disk before its first revision is used. The next block is
  // reserved when half of one is used, so that no commit waits for it. Returns its end if that must be written now.
  std::optional<Revision> reserve() {
    Revision used = table_.revision();
    if (used > usable_) {
      // Half a block is far more than is_behind() lets wait for the disk.
      check_invariant(disk_.is_durable(reservation_) || disk_.has_failed(), "revisions ran out while the disk hung");
      usable_ = reserved_;
    }
    if (number_of(reserved_) - number_of(used) > block_ / 2) return std::nullopt;
    reserved_ = Revision{number_of(reserved_) + block_};
    return reserved_;
  }

  // A clean shutdown leaves nothing reserved, so the next start begins at the wall clock again. Otherwise tokens would
  // run ahead of it by a block per restart, and a copy restored soon afterwards would issue the same ones again.
  void give_back_reserved() {
    std::scoped_lock lock(mutex_);
    ended_ = true;
    if (!begun_) return;
    Revision next{number_of(table_.revision()) + 1};
    disk_.add(table_.revision(), JournalBatch{.writes = {}, .reserved = next}, std::nullopt);
  }

  bool expire_one(BootTime now) {
    if (ended_) return false;
    return change([&](auto* changes) { return table_.expire_one(now, changes); });
  }

  // Only on the hub's thread, one at a time.
  std::optional<Snapshot> snapshot(const std::string& prefix) {
    PagedSnapshot pages(prefix);
    begin_paging(pages);
    while (take_page(pages)) std::this_thread::yield();
    if (!disk_.wait_until_durable(disk_.ticket_for(pages.as_of()))) return std::nullopt;
    return std::move(pages).finish();
  }

  void begin_paging(PagedSnapshot& pages) {
    std::scoped_lock lock(mutex_);
    expirer_.expire_some();
    paging_ = &pages;
  }

  bool take_page(PagedSnapshot& pages) {
    std::scoped_lock lock(mutex_);
    bool more = pages.take_page(table_);
    if (!more) paging_ = nullptr;
    return more;
  }

  void on_lease(LeaseId id, bool own, Ttl ttl) override { writes_.emplace_back(JournalLease{id, own, ttl}); }
  void on_lease_ended(LeaseId id) override { writes_.emplace_back(EndLease{id}); }

  void on_durable(std::deque<ChangeBatch> changes) override {
    for (ChangeBatch& batch : changes) hub_.publish(batch.revision, std::move(batch.changes));
  }

  void on_write_failed(const std::string& why) override {
    log_.write(LogLevel::error, "the store stops: nothing is written any more until a restart", {{"error", why}});
    hub_.end();
  }

  Clock& clock_;
  Log& log_;
  std::mutex mutex_;  // guards the table and everything below that is not itself thread-safe
  LeaseTable table_;
  std::vector<JournalWrite> writes_;         // of the current change: its leases
  std::vector<std::string> durable_before_;  // of the current change: see note_durable_entries()
  PagedSnapshot* paging_ = nullptr;          // the one being taken
  WatchHub hub_;
  GroupCommit disk_;
  Ticket last_ticket_{};
  const std::int64_t block_;
  Revision usable_;    // revisions up to here are known to be reserved on disk
  Revision reserved_;  // up to here once `reservation_` is on disk
  Ticket reservation_{};
  bool begun_ = false;
  bool ended_ = false;  // nothing changes any more
  Expirer expirer_;
};

}  // namespace

Result<std::unique_ptr<LeaseStore>> make_embedded_store(std::unique_ptr<Journal> journal, Clock& clock, Log& log,
                                                        std::int64_t revision_block) {
  auto state = journal->load();
  if (!state) return state.error();
  Revision last = std::max(state->reserved, first_revision(clock));
  if (last > kLastFirstRevision) return revisions_too_high(last);
  auto store = std::make_unique<EmbeddedStore>(last, revision_block, std::move(journal), clock, log);
  if (auto begun = store->begin(*std::move(state)); !begun) return begun.error();
  return std::unique_ptr<LeaseStore>(std::move(store));
}

}  // namespace sharedlock
