#pragma once

#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "store/embedded/commit_waiters.h"
#include "store/embedded/journal.h"
#include "store/lease_store.h"

namespace sharedlock {

// Makes changes durable in groups: while one batch is being synced, further changes gather into the next. So under load
// one sync serves hundreds of callers, and a lone change is written at once. Batches are written in the order in which
// their changes were added, so a prefix of the history survives a crash.
//
// After the first failed write nothing is written any more: whether that write is on disk is unknown, and later changes
// must not be. Thread-safe; no work under its lock grows with the number of waiters.
class GroupCommit {
 public:
  // Hears the outcome of each batch, on the writer thread and without locks held.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_durable(std::deque<ChangeBatch> changes) = 0;  // of one batch, in order
    virtual void on_write_failed(const std::string& why) = 0;      // once, and nothing after it
  };

  // A batch; they are numbered in the order in which they are written.
  enum class Ticket : std::uint64_t {};

  // See durable().
  class [[nodiscard]] Wait : public TaskAwaitable {
   public:
    Wait(GroupCommit& disk, Ticket ticket, Deadline deadline) : disk_(disk), ticket_(ticket), waiter_(deadline) {}
    bool begin(TaskRun& run, std::coroutine_handle<> waiting) { return disk_.enlist(ticket_, waiter_, run, waiting); }
    Result<void> result() const;

   private:
    GroupCommit& disk_;
    Ticket ticket_;
    CommitWaiter waiter_;
  };

  // `durable`: the store's present revision, up to which everything is on disk. Clock and listener must outlive it.
  GroupCommit(std::unique_ptr<Journal> journal, Revision durable, Clock& clock, Listener& listener);
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;
  ~GroupCommit();  // writes what has gathered, ends the threads; no caller may still be waiting

  // Adds the changes that led to `revision`, for the journal and for the listener. Calls must come in revision order.
  Ticket add(Revision revision, JournalBatch writes, std::optional<ChangeBatch> changes);

  // The batch with which everything up to `as_of` is on disk.
  Ticket ticket_for(Revision as_of) const;

  // To be awaited at once; the result is a Result<void>. Ends when the batch is on disk, at once if it is there.
  // unavailable: it may not be; deadline_exceeded: not yet. Resumes on the executor on which it was awaited; the
  // waiters for one batch on one executor share one post to it.
  Wait durable(Ticket ticket, Deadline deadline) { return {*this, ticket, deadline}; }

  // Blocks until the batch is on disk; false when that failed, or during destruction. Not on an I/O thread.
  bool wait_until_durable(Ticket ticket);

  // Whether the batch is already on disk.
  bool is_durable(Ticket ticket) const;

  // Whether so much waits for the disk that only indispensable changes may be added: a hanging disk must neither fill
  // the memory nor get everything at once when it comes back.
  bool is_behind() const;

  // Whether a write has failed, so that nothing is written any more; and why.
  bool has_failed() const;
  std::string failure() const;

 private:
  struct Batch {
    explicit Batch(Ticket number) : ticket(number) {}

    Ticket ticket;
    JournalGroup writes;
    std::deque<ChangeBatch> changes;
    Revision last{};  // of the changes in it; kAbsent: none
    std::size_t bytes = 0;
    bool has_changes = false;
    CommitWaiters waiters;
  };
  // What to announce and free once the lock is released.
  struct Finished {
    std::unique_ptr<Batch> batch;
    CommitWaiters lost;  // waiters for changes that will never be written
  };

  bool enlist(Ticket ticket, CommitWaiter& waiter, TaskRun& run, std::coroutine_handle<> waiting);
  CommitFate fate_of(Ticket ticket) const;

  void run_writer();
  void tell_listener(Batch& batch, const Result<void>& written);
  Finished finish(const Result<void>& written);
  void run_watchdog();
  BootTime first_deadline() const;
  void end_late_waits(std::unique_lock<std::mutex>& lock);

  const std::unique_ptr<Journal> journal_;
  Clock& clock_;
  Listener& listener_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;      // there is something to write, or shutdown
  std::condition_variable progress_;  // a batch was written, or writing failed, or shutdown
  std::condition_variable deadline_;  // a deadline comes before the watchdog's next wake-up, or shutdown
  bool stopping_ = false;
  std::string failure_;
  Ticket durable_ticket_{0};
  Revision durable_revision_;
  std::unique_ptr<Batch> writing_;    // null while idle
  std::unique_ptr<Batch> gathering_;  // never null
  BootTime watchdog_sleeps_until_ = BootTime::min();
  std::thread writer_;
  std::thread watchdog_;  // ends waits at their deadlines
};

}  // namespace sharedlock
