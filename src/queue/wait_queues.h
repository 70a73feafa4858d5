#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/async_event.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/task.h"
#include "base/task_group.h"
#include "queue/queue_entry.h"
#include "queue/queue_state.h"
#include "queue/types.h"
#include "store/lease_store.h"

namespace sharedlock {

struct WaitQueuesOptions {
  std::vector<std::string> followed;                          // prefixes that cover the locks and their queues
  std::function<QueuePart(const std::string& name)> part_of;  // where a name's lock and queue are
  std::function<LockSight(const Entry&)> see_lock;            // what an entry under a lock's key says
  std::chrono::milliseconds request_timeout{5000};            // of each commit
};

// Queues of waiters over a LeaseStore: keeps the entries of this server's waiters and tells each when its turn comes;
// taking the lock is up to the waiter. QueueState decides; this class carries that out. It asks the store for nothing,
// and follows nothing, before there is a waiter. Thread-safe. Store, clock and log must outlive it.
class WaitQueues {
 public:
  WaitQueues(WaitQueuesOptions options, LeaseStore& store, Clock& clock, Log& log);
  WaitQueues(const WaitQueues&) = delete;
  WaitQueues& operator=(const WaitQueues&) = delete;
  // All waiters must be gone. Erases their entries, except those that are kept. Waits for its background tasks, so the
  // threads of their executors must still run.
  ~WaitQueues();

  // A waiter, on the executor of the coroutine that called enter(). Leaves its queues when destroyed, or soon after.
  class Waiter {
   public:
    Waiter(Waiter&& other) noexcept = default;
    Waiter& operator=(Waiter&&) = delete;
    ~Waiter();

    // To be called when its client has disconnected: on its executor, maybe after its end.
    std::function<void()> disconnect() const;

   private:
    friend class WaitQueues;
    // Used on its executor, but for `step`, which is guarded by WaitQueues' mutex.
    struct State {
      explicit State(Executor on) : executor(on), signal(on) {}

      Executor executor;
      AsyncEvent signal;
      QueueState::WaiterId id = 0;
      std::string entry;                      // the value of its entries
      std::chrono::nanoseconds keep_place{};  // how long they are kept while its client is away
      bool disconnected = false;
      bool may_come_back = false;            // it has disconnected, its time is up, or it is sent elsewhere
      std::optional<QueueState::Step> step;  // what it is to do next
    };
    Waiter(WaitQueues& queues, std::shared_ptr<State> state) : queues_(&queues), state_(std::move(state)) {}
    WaitQueues* queues_;
    std::shared_ptr<State> state_;
  };

  // A waiter's turn to try once to take what it waits for, in one commit that also erases its entries (R26). Ended
  // exactly once, by took(), refused(), failed() or leave(), before the waiter's next(); a second end aborts. One that
  // is destroyed before it has ended counts as a try without an answer. The queues must outlive it.
  class Turn {
   public:
    // What a refused try saw under the lock of that name, and when that is to be looked at again.
    struct Seen {
      std::string name;
      std::optional<Entry> entry;
      Revision as_of{};
      std::optional<BootTime> look_again;
    };

    Turn(Turn&& other) noexcept
        : queues_(std::exchange(other.queues_, nullptr)), waiter_(other.waiter_), step_(other.step_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn();

    // take, retake or look, as QueueState::Step says; a look takes what is free after all.
    QueueState::Step step() const { return step_; }
    // The waiter's entries. The commit that takes the locks is to erase them, and to expect them at that revision.
    QueueState::Join entries() const;

    // The locks were taken, and the entries erased, at that revision: the waiter is not in the queues any more.
    void took(Revision revision);
    // Nothing was taken. The waiter may be told its next turn at once, so after a try that saw nothing: rest() first.
    void refused(QueueState::EntryFate entries, const std::vector<Seen>& seen = {});
    // The commit failed so: rest() first, unless the waiter leaves. Where it may happen yet, see may_take_yet().
    void failed(Errc why);
    // Nothing is reported: the waiter is destroyed next, and its entries go with it.
    void leave();

   private:
    friend class WaitQueues;
    Turn(WaitQueues& queues, QueueState::WaiterId waiter, QueueState::Step step)
        : queues_(&queues), waiter_(waiter), step_(step) {}
    WaitQueues& end();

    WaitQueues* queues_;  // null: it has ended
    QueueState::WaiterId waiter_;
    QueueState::Step step_;
  };

  // The waiter's time is up.
  class TimeUp {
   public:
    // A last turn, where a look has shown that the waiter's own identity holds what it waits for.
    Turn retake() const { return {*queues_, waiter_, QueueState::Step::retake}; }

   private:
    friend class WaitQueues;
    TimeUp(WaitQueues& queues, QueueState::WaiterId waiter) : queues_(&queues), waiter_(waiter) {}

    WaitQueues* queues_;
    QueueState::WaiterId waiter_;
  };

  struct Pause {};  // nothing to do yet, but it is time to pause; see next()

  // What a waiter is to do.
  using Next = std::variant<Turn, Pause, TimeUp, WaitEnd>;

  // Joins the end of the queues of these names; `owner` and `instance` (empty: anonymous) identify the waiter. If they
  // have entries there already, it gets those: the entries of a waiter that got nothing are kept for its `keep_place`.
  Waiter enter(Executor executor, std::vector<std::string> names, const std::string& owner, const std::string& instance,
               std::chrono::nanoseconds keep_place = {});

  // A client gives up waiting for exactly these names: its kept entries go, and none are kept for it any more (R37).
  void give_up(const std::vector<std::string>& names, const std::string& owner, const std::string& instance);

  // Waits until there is something to do, or until that time. An error says why the waiter has no queue entry.
  Task<Result<Next>> next(Waiter& waiter, BootTime until) { return next(waiter, until, BootTime::max()); }
  // The same, but returns Pause at `pause` if there is nothing else to do by then.
  Task<Result<Next>> next(Waiter& waiter, BootTime until, BootTime pause);

  // The same as Turn::entries(), for a look as the time is up.
  QueueState::Join entries_of(const Waiter& waiter) const;

  // A pause before the end of a turn, so that the next one does not come at once.
  Task<void> rest() { return pause(kRest); }
  // Whether an unanswered try may yet happen: one of its own, or of an earlier request that had its entries.
  bool may_take_yet(const Waiter& waiter) const;

  // Ends all waiting: present waiters are told to leave, and later ones are told so at once. `why`: draining or
  // store_lost; the first one counts.
  void drain(WaitEnd why);

  // A newcomer was refused because its queue is occupied, though the lock is free.
  void refused_by_queue(Executor executor, const std::string& name);

  // Whether this server has had to do with a queue at all; and whether any queue, here or elsewhere, may be occupied.
  bool in_use() const { return in_use_.load(std::memory_order_relaxed); }
  bool may_have_entries() const { return in_use() || store_.is_shared(); }

  // Hints.
  bool is_occupied(const std::string& name) const;
  std::optional<Entry> holder_of(const std::string& name) const;
  std::size_t ahead_of(const Waiter& waiter) const;
  std::vector<std::string> blockers_of(const Waiter& waiter) const;  // the locks' keys
  std::size_t waiters() const;

 private:
  static constexpr std::chrono::milliseconds kRest{200};  // after an error

  using WaiterPtr = std::shared_ptr<Waiter::State>;

  // A waiter that joins by a transaction, maybe together with others.
  struct Joining {
    QueueState::WaiterId waiter = 0;
    std::string value;      // of its entries
    std::size_t begin = 0;  // among what the transaction expects: where they are, and how many
    std::size_t count = 0;
  };

  void begin(Executor executor);
  void on_event(const WatchEvent& event);
  void carry_out();
  void leave(Waiter::State& state);
  Task<std::optional<Error>> join(Waiter& waiter);

  Task<void> work();
  Task<void> keep_time();
  std::optional<Task<void>> take_chore();
  std::vector<QueueState::Remove> take_removes();
  Task<void> load(QueuePart part);
  Task<void> rejoin();
  Task<void> rejoin_together(std::vector<QueueState::WaiterId> lost);
  Task<void> remove(std::vector<QueueState::Remove> entries, Deadline until);
  Task<void> evict(QueueState::Evict head);
  Joining put_join(Transaction& transaction, const Waiter::State& state);
  static std::optional<Revision> stands_at(const Outcome& outcome, const Joining& joining);
  Task<void> pause(std::chrono::milliseconds span);
  Deadline soon() const { return {clock_.boot_now() + options_.request_timeout}; }

  const WaitQueuesOptions options_;
  LeaseStore& store_;
  Clock& clock_;
  Log& log_;
  const std::string server_;

  mutable std::mutex mutex_;
  QueueState queue_state_;
  std::unordered_map<QueueState::WaiterId, WaiterPtr> waiters_;
  std::deque<QueuePart> loads_;
  std::deque<QueueState::Remove> removes_;
  std::deque<QueueState::Evict> evicts_;
  BootTime alarm_{};  // when keep_time() wakes
  bool rejoin_due_ = false;
  bool rejoining_ = false;
  std::size_t workers_ = 0;
  std::optional<WaitEnd> drained_;  // and why
  bool stopping_ = false;
  std::atomic<bool> in_use_ = false;
  std::optional<Executor> executor_;  // of the chores; set by begin()
  std::shared_ptr<AsyncEvent> time_;  // for keep_time(), on that executor
  std::vector<Subscription> following_;
  TaskGroup tasks_;
};

}  // namespace sharedlock
