#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <ext/pb_ds/assoc_container.hpp>
#include <ext/pb_ds/tree_policy.hpp>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "queue/types.h"
#include "store/lease_store.h"

namespace sharedlock {

// No entry ever has it: a commit that expects it changes nothing, and is told what stands there.
inline constexpr Revision kNever{std::numeric_limits<std::int64_t>::max()};

// One of the locks that a waiter waits for. Its queue is what stands under the prefix `queue`, which ends in a slash:
// one entry for each waiter (R21).
struct QueuePart {
  std::string lock;  // the key of what is waited for
  std::string queue;
};

// Identifies a waiter: of two requests of one identity only the later counts. Empty: unlike every other.
using Identity = std::string;

// What a queue has to know of an entry that stands under a lock's key.
struct LockSight {
  Identity holder;
  std::optional<BootTime> look_again;  // a little after it should have ended: by then it may have, without an event
};

// What a queue has to know of a queue entry.
struct EntrySight {
  Identity waiter;
  std::string server;        // the waiter's; the entry stands under that server's session
  std::uint8_t parts = 1;    // how many it waits for together
  Revision since = kAbsent;  // of entries that were lost and joined again: see QueueState::Join
};

// What a server knows of the queues in which its clients wait, and what follows from it: what each waiter is to do, and
// when (R22 to R26), and which entries are kept while their clients are away (R37). Pure: no clock, no store, no
// thread, so that tests can try every order of events. It is fed with what the store's watch and the answers of commits
// say, and yields effects for its owner to carry out. Views are hints: each effect is a commit with guards, so acting
// on an old view costs a try and no more. Not thread-safe.
class QueueState {
 public:
  using WaiterId = std::uint64_t;

  // What a waiter is told to do next.
  enum class Step {
    join,        // put its entry, see join_of()
    take,        // it is first, and all that it waits for seems free
    retake,      // it may not be first, but its own identity seems to hold it: look, and take nothing that is free
    look,        // the holder's time is up: look whether it still holds
    superseded,  // a newer request of the same identity has its entry
  };

  struct Wake {
    WaiterId waiter;
    Step step;
  };
  struct Load {  // read the lock, then the queue, and say loaded() or load_failed()
    QueuePart part;
  };
  struct Rejoin {};  // waiters lost their entries: see take_lost()
  // An entry of this server without a waiter: erase it, until an answer comes. Then say removed(), or not_removed()
  // where something else stands there: another server may have taken it over.
  struct Remove {
    std::string entry;
    std::optional<Revision> revision;  // nothing: look first
  };
  struct Evict {  // the head of a queue does nothing although the lock is free: erase its entry, guarded by both (R23)
    QueuePart part;
    std::string entry;
    Revision revision;
  };
  using Effect = std::variant<Wake, Load, Rejoin, Remove, Evict>;

  // What a joining waiter puts: at each key, expecting that revision there. And what is left of its former entries: the
  // same commit is to erase them, guarded by their revisions.
  struct Left {
    std::string entry;
    Revision revision;
  };
  struct Join {
    std::vector<std::string> entries;  // one for each part, in their order
    Revision expected = kAbsent;
    std::vector<Left> left = {};
    Revision since = kAbsent;  // when it joins again: when it joined first. That tells the older of two requests of one
                               // identity from the newer one (R26), so it is part of what stands in its entries.
  };

  // What became of a waiter's entries, as its try has seen; unknown: the try had no answer, and may happen yet.
  enum class EntryFate { there, gone, taken_over, unknown };

  using SeeLock = std::function<LockSight(const Entry&)>;
  using SeeEntry = std::function<EntrySight(const Entry&)>;

  // `server`: the mark of this server in its entries and their names; unique, and without a slash.
  QueueState(std::string server, SeeLock see_lock, SeeEntry see_entry);

  // To be called before any event of that time is reported; does what is due by time alone.
  void advance(BootTime now);
  BootTime next_due() const;

  // Whether a new waiter's client may have come back for an entry that it had. `here`: one at this server, so that the
  // waiter waits for the outcome where a commit of that entry is under way. `from_anywhere`: maybe one at another
  // server, so that it also reads the store before it joins, since an entry may stand there that is not known here yet.
  enum class Back { no, here, from_anywhere };

  // A new waiter. It takes over the entry of an older waiter of the same identity for the same locks, which is told so,
  // or is forgotten if its client is away.
  WaiterId add(std::vector<QueuePart> parts, Identity identity, Back back = Back::no);

  // What a waiter that was told to join puts.
  Join join_of(WaiterId waiter);

  // The answer to that: the entries stand at that revision; or something else stands there, or there was no answer, and
  // it is told to join anew.
  void joined(WaiterId waiter, Revision revision);
  void not_joined(WaiterId waiter, bool unanswered = false);

  // The first of the waiters that lost their entries, in the order of those entries: as many as fit in a commit that
  // puts at most so many. They are to join before any that lost theirs behind them.
  std::vector<WaiterId> take_lost(std::size_t most_entries);

  // The entries of a waiter that was told to take: its commit erases them, expecting that revision.
  Join entries_of(WaiterId waiter) const;

  // What stands under a lock as of that revision; look_again as in LockSight.
  void saw(const std::string& lock, const std::optional<Entry>& entry, Revision as_of,
           std::optional<BootTime> look_again);
  // A waiter that was told to take or look is done with that, and has taken nothing.
  void tried(WaiterId waiter, EntryFate entries);
  // Whether an unanswered try may happen yet: until its entries are gone, or are replaced by others.
  bool may_take_yet(WaiterId waiter) const { return waiters_.at(waiter).unsure; }

  // The waiter is gone, and its entries were erased at that revision; or they may stand there, and have to go.
  void finished(WaiterId waiter, Revision revision);
  void left(WaiterId waiter);
  // The client is away, but may come back within that time: so long its entry keeps its order, and takes no lock (R37).
  // At the head, while the lock is free, it goes after 1 s. A waiter without an entry that is surely its own leaves.
  void keep(WaiterId waiter, std::chrono::nanoseconds span);
  // A client will not come back: what is kept for that identity goes, if it waits for exactly these locks.
  void give_up(const std::vector<std::string>& locks, const Identity& identity);

  // A Remove is carried out: the entry was erased, or was gone, as of that revision. Or this one stands there.
  void removed(const std::string& key, Revision as_of);
  void not_removed(const std::string& key, const Entry& entry);

  // What the store tells. reset(): events may be missing, so every queue is loaded again.
  void changed(const ChangeBatch& batch);
  void reset();
  void loaded(const std::string& lock, const Found& found, const Listing& entries);
  void load_failed(const std::string& lock);

  // Follows a queue for a while, even without waiters: a request was refused because of it, though its lock seems free.
  void look_after(const QueuePart& part);

  // To be carried out, after every event.
  std::vector<Effect> take_effects() {
    if (pace_.due([this] { return elements(); })) check_invariants();
    return std::exchange(effects_, {});
  }

  // Hints: whether the queue is known to be occupied; what holds the lock; how many are ahead of a waiter; which of the
  // locks that it waits for it can't have yet (all of them, where none is known to be the reason).
  bool is_occupied(const std::string& lock) const;
  std::optional<Entry> holder_of(const std::string& lock) const;
  std::size_t ahead_of(WaiterId waiter) const;
  std::vector<std::string> blockers_of(WaiterId waiter) const;

  std::size_t waiters() const { return waiters_.size(); }
  std::size_t kept() const { return kept_.size(); }  // of these, with their clients away
  std::size_t queues() const { return queues_.size(); }

  // All that it knows, for tests: states with equal texts will do the same.
  std::string text() const;

  // Ends the process where what it knows contradicts itself: indexes, states of waiters, deadlines. Looks at
  // everything. In Debug builds take_effects() does so itself, at the pace of CheckPace.
  void check_invariants() const;

 private:
  // R23: how long another server's waiter may be at the head and do nothing.
  static constexpr std::chrono::seconds kIdle{2};
  // Clients that come and go must not fill the memory with entries.
  static constexpr std::size_t kMostKept = 10'000;
  static constexpr Revision kNotYet{std::numeric_limits<std::int64_t>::max()};

  struct Order {
    Revision created = kAbsent;
    std::string name;
    auto operator<=>(const Order&) const = default;
  };
  struct EntryView {
    Revision revision;
    Identity identity;
    bool ours;  // under this server's session, whichever server gave it its name
    std::uint8_t parts;
    Revision asked;  // when its request first had an entry: later for the newer of two requests of one identity
  };
  // A tree of libstdc++ that knows how many entries come before each.
  using EntriesInOrder = __gnu_pbds::tree<Order, EntryView, std::less<Order>, __gnu_pbds::rb_tree_tag,
                                          __gnu_pbds::tree_order_statistics_node_update>;
  struct Queue {
    QueuePart part;
    bool loaded = false;
    bool loading = false;
    bool load_again = false;  // what is being read may be too old
    bool load_more = false;   // for a waiter that came while it was read
    std::uint64_t load = 0;   // the read that is under way, and the last that ended; all reads are counted
    std::uint64_t load_done = 0;
    std::vector<std::pair<Revision, Change>> meanwhile;
    std::optional<Entry> lock;
    LockSight sight;  // of `lock`
    Revision lock_as_of{};
    Revision loaded_as_of{};  // the entries, when they were read
    Revision queue_as_of{};   // the entries now
    EntriesInOrder entries;
    std::unordered_map<std::string_view, const Order*> by_name;  // in `entries`, as are all pointers to an Order
    std::unordered_map<Identity, const Order*> latest;           // newest entry of each identity
    std::unordered_map<Identity, WaiterId> identities;           // of our waiters
    std::set<WaiterId> waiters;
    std::unordered_map<std::string, Revision> removed;  // by name: erased as of then, or kNotYet
    std::string idle_head;  // first while the lock is free: of another server, or of a client that is away
    Revision idle_revision{};
    BootTime idle_until{};
    std::optional<BootTime> look_at;
    std::optional<BootTime> load_at;
    BootTime kept_until{};  // also without waiters
    BootTime due = BootTime::max();
  };
  enum class State {
    loading,     // its queues, see tell_join()
    succeeding,  // waits for a commit of an older waiter of the same identity, to get its entry if that is not used
    joining,
    in_queue,
    gone,  // its entries are not there any more; the watch will tell why
    lost,
    away,  // its entries are there, and its client is not
  };
  struct Waiter {
    std::vector<Queue*> queues;
    Identity identity;
    std::string name;  // of its entries
    State state = State::loading;
    Revision revision{};          // of its entries
    Order order{};                // of its entries, also after it has lost them; created absent: it had none yet
    Revision asked = kAbsent;     // when it first had entries
    Revision expected = kAbsent;  // what it takes over when it joins
    bool acting = false;          // was told to take or look
    bool superseded = false;
    Back back = Back::no;
    bool unsure = false;         // a try at these entries may happen yet
    bool given_up = false;       // its client will not come back
    std::uint64_t came_after{};  // how many reads had begun by then
    WaiterId succeeds = 0;
    BootTime kept_until{};
  };

  Queue& queue_for(const QueuePart& part);
  Queue* find(const std::string& lock);
  std::string fresh_name();
  static std::string key_of(const Queue& queue, const std::string& name) { return queue.part.queue + name; }

  void begin_load(Queue& queue);
  bool apply(Queue& queue, Revision revision, const Change& change);
  bool learn_lock(Queue& queue, const std::optional<Entry>& entry, Revision as_of);
  void put_entry(Queue& queue, const std::string& name, const Entry& entry);
  void drop_entry(Queue& queue, const std::string& name);
  static void erase_entry(Queue& queue, const std::string& name);
  static const EntryView* entry_at(const Queue& queue, const std::string& name);
  static bool joins_again(const Waiter& waiter);
  static const EntryView* entry_left(const Queue& queue, const Waiter& waiter);
  void remove_orphan(Queue& queue, const std::string& name, Revision revision);
  void remove_entries(const Waiter& waiter);
  void take_listing(Queue& queue, const Listing& listing);

  void tell_join(WaiterId id, Waiter& waiter);
  bool has_read(const Waiter& waiter);
  std::optional<std::pair<Order, Revision>> entry_to_take_over(const Waiter& waiter) const;
  static bool has_come_elsewhere(const Queue& queue, const Waiter& waiter);
  static bool is_later(const Queue& queue, const Order& one, const Order& other);
  void succeed(WaiterId older_id, Waiter& older, Waiter& newer);
  WaiterId successor_of(WaiterId id, const Waiter& waiter) const;
  void hand_on(WaiterId id, Waiter& waiter, bool with_entries);
  void unname(WaiterId id, const Waiter& waiter);
  void lose_name(WaiterId id, Waiter& waiter);
  void tell(WaiterId id, Waiter& waiter, Step step);
  void supersede(WaiterId id);
  void check_entry(const Queue& queue, WaiterId id);
  void forget(WaiterId id);
  void lose(WaiterId id, Waiter& waiter);
  void unlose(WaiterId id, const Waiter& waiter);
  static bool is_holder(const Queue& queue, const Waiter& waiter);
  bool may_take(const Waiter& waiter) const;
  bool is_first(const Queue& queue, const Waiter& waiter) const;
  void look_over(Queue& queue);
  void look_over_head(Queue& queue);
  void look_over_all_of(const std::vector<Queue*>& queues);
  void check_waiter(WaiterId id, const Waiter& waiter) const;
  void check_waiters(const Queue& queue) const;
  std::size_t elements() const;
  static void check_entries(const Queue& queue);
  void check_due(const Queue& queue) const;
  void check_states() const;
  void set_due(Queue& queue);
  void on_due(Queue& queue);

  const std::string server_;
  const SeeLock see_lock_;
  const SeeEntry see_entry_;
  BootTime now_{};
  WaiterId last_waiter_ = 0;
  std::uint64_t last_load_ = 0;
  std::uint64_t last_name_ = 0;
  std::unordered_map<std::string, Queue> queues_;      // by lock
  std::unordered_map<std::string, Queue*> by_prefix_;  // by the prefix of their entries
  std::unordered_map<WaiterId, Waiter> waiters_;
  std::unordered_map<std::string, WaiterId> by_name_;
  std::map<Order, WaiterId> lost_;                  // by the entries that they had, however often they tried since
  std::set<std::pair<BootTime, std::string>> due_;  // queues, by lock
  std::set<std::pair<BootTime, WaiterId>> kept_;
  std::vector<Effect> effects_;
  CheckPace pace_;
};

}  // namespace sharedlock
