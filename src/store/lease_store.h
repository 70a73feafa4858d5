#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "base/task_frame.h"

namespace sharedlock {

// The number of a committed change: it only grows, across restarts too. Everything that one transaction changes carries
// the same one.
enum class Revision : std::int64_t {};

// Means "the entry must not exist" when a revision is expected; no entry ever has it.
inline constexpr Revision kAbsent{0};

// Names a lease: random, positive. It suffices to keep the lease alive or to end it, so only the holder sees it.
enum class LeaseId : std::int64_t {};

constexpr std::int64_t number_of(Revision revision) {
  return static_cast<std::int64_t>(revision);
}
constexpr std::int64_t number_of(LeaseId id) {
  return static_cast<std::int64_t>(id);
}

// An unguessable lease id, for an OwnLease: on etcd some ids mark leases of another kind (lease_ids.h).
LeaseId random_lease_id();

// How long an entry lives. With both ttls the entry surely lives until the call of commit() + ttl, and ends at most 3 s
// later unless it was renewed (on etcd a server-side minimum or a change of leader may delay it further).
struct OwnLease {  // a lease of its own, which keep_alive() renews
  Ttl ttl;
  std::optional<LeaseId> id;  // the id to take, positive; without one the store picks it
  // Otherwise it is one of random_lease_id(), for this commit alone. A client chose it, and may have given it to other
  // servers too. So the store never ends this lease by itself (R3): if nothing comes of it, it is left to its ttl.
  bool client_chosen = false;
};
struct PooledLease {  // never kept alive; entries may share a lease
  Ttl ttl;
};
struct PooledUntil {  // the same, but the entry surely lives until `end`, and ends at most 3 s later
  BootTime end;
};
// For an entry on the lease `id` at the expected revision: it stays on that lease, whenever that ends. `end`: the
// caller relies on the entry until then. If the store finds that the lease ends earlier, it moves the entry, as
// PooledUntil{end} would. `looked_up`: during this very request lease_life() has confirmed that the lease lives that
// long.
struct KeepLease {
  LeaseId id;
  BootTime end;
  bool looked_up = false;
};
struct SessionLease {};  // lives as long as this server does; never written to disk
using Lifetime = std::variant<OwnLease, PooledLease, PooledUntil, KeepLease, SessionLease>;

// What is stored under a key. `created` is the revision at which the key last came into being, `revision` that of its
// last change. `lease`: the lease it hangs on. A store may let entries with an OwnLease share one of its own leases;
// that lease's id then says nothing about theirs: see shown_lease().
struct Entry {
  std::string value;
  LeaseId lease{};
  Revision created{};
  Revision revision{};

  bool operator==(const Entry&) const = default;
};

// The OwnLease under which the entry lives, if the entry itself shows it; if not, only lease() tells what hangs on an
// id.
std::optional<LeaseId> shown_lease(const Entry& entry);

struct Expect {  // the entry is still the one seen: its revision, or kAbsent
  std::string key;
  Revision at = kAbsent;
};
struct Put {
  std::string key;
  std::string value;
  Lifetime lifetime;
};
struct Erase {  // of an absent key: changes nothing
  std::string key;
};
using Mutation = std::variant<Put, Erase>;

// Nearly always one or two elements. Each request makes and drops several such vectors.
template <class T>
using Few = std::vector<T, TaskFrameAllocator<T>>;

// All or nothing. It is applied when every expectation holds and no entry exists under any prefix of `none_under`. Keys
// are not empty; no key is changed twice; at most one put has an OwnLease; a ttl is at least 1 s.
struct Transaction {
  Few<Expect> expect;
  std::vector<std::string> none_under;
  Few<Mutation> changes;
};

const std::string& key_of(const Mutation& mutation);
// Null if it is not a put with a lease of its own.
const OwnLease* own_lease_of(const Mutation& mutation);

// invalid_argument if a transaction is invalid in itself, whatever the store holds.
Result<void> check(const Transaction& transaction);

struct Committed {
  Revision revision;  // of this transaction (if it changed nothing: of the store)
  LeaseId lease{};    // of its OwnLease, if it put one
  Ttl ttl{};          // of that lease as granted: at least what was asked for
  // [i] of changes[i]: Entry::lease of an entry that was put; 0 for one that was erased.
  Few<LeaseId> leases = {};
  // Set if the store put all of it again, under another lease: the first put's revision; `revision` is the last.
  Revision first = kAbsent;

  // Entry::created of entries put under absent keys.
  Revision created() const { return first == kAbsent ? revision : first; }
};
struct Conflict {  // nothing was changed
  Revision as_of;
  Few<std::optional<Entry>> current;  // [i] for expect[i]: the present entry
  std::vector<bool> occupied;         // [i] for none_under[i]
};
using Outcome = std::variant<Committed, Conflict>;

struct Found {
  std::optional<Entry> entry;
  Revision as_of;
};
using KeyedEntry = std::pair<std::string, Entry>;
struct LeaseInfo {
  Ttl granted;
  Ttl left;                                        // rounded down
  std::vector<std::string> keys;                   // in key order
  std::optional<Entry> only_entry = std::nullopt;  // of an OwnLease with one key: its entry
};
// When a lease ends unless it is renewed, by the clock of this server.
struct LeaseLife {
  BootTime surely_until;
  BootTime at_most_until;  // except after a change of etcd's leader

  bool operator==(const LeaseLife&) const = default;
};
struct Listing {
  std::vector<KeyedEntry> entries;  // in key order (bytes compared)
  bool more = false;                // there are entries after the last one
  Revision as_of;
};

// The events of a watch. The first one is a Snapshot, unless the watch began after a revision that was still in the
// history. A later Snapshot means that history was lost: everything the watcher believed before is void.
struct Snapshot {
  Revision as_of;
  std::vector<KeyedEntry> entries;
};
struct Change {
  std::string key;
  std::optional<Entry> now;       // put: the entry as it is now
  std::optional<Entry> previous;  // gone, or (etcd) put under another lease: the entry as it was
};
struct ChangeBatch {  // everything under the prefix that one revision changed
  Revision revision;
  std::vector<Change> changes;
};
struct Liveness {  // whether the events so far are known to be current: false while the store can't be reached
  bool live;
};
using WatchEvent = std::variant<Snapshot, ChangeBatch, Liveness>;
using WatchHandler = std::function<void(const WatchEvent&)>;

// A running watch; ends it when destroyed. The destructor waits for a running handler, unless the handler itself
// destroys it; afterwards the handler is never called again, and is destroyed. Must not outlive its store.
class Subscription {
 public:
  class State {
   public:
    virtual ~State() = default;  // as the destructor of Subscription says
  };
  Subscription() = default;
  explicit Subscription(std::unique_ptr<State> state) : state_(std::move(state)) {}

 private:
  std::unique_ptr<State> state_;
};

// THE storage interface: leased entries changed by compare-and-swap. It does not know what a lock is.
//
// Thread-safe, and strict-serializable: every answer is the state at some moment between call and answer. Revisions
// only grow. The coroutines end on the executor on which they were awaited. Must outlive its subscriptions and its
// calls.
//
// get(), list() and Conflict may run ahead of the disk: see settled(). commit(), keep_alive() and revoke() answer when
// the change is durable. `unavailable` and `deadline_exceeded` leave open whether a change happened; after every other
// error nothing was changed. A lost race is not an error but a Conflict.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;

  // What is added to a revision to make a fencing token: nonzero only if revisions may begin anew below tokens issued
  // before (R31). Constant, and known once any call has answered with a revision.
  virtual std::int64_t token_base() const { return 0; }

  // Whether other processes also change the stored entries. Constant.
  virtual bool is_shared() const { return false; }

  virtual Task<Result<Found>> get(std::string key, Deadline deadline) = 0;

  // The one write. lease_in_use: the OwnLease names an id under which an entry hangs (a lease of that id without
  // entries is taken over, with the new ttl). lease_not_found: a KeepLease names another lease than that of its entry.
  // invalid_argument: see Transaction.
  virtual Task<Result<Outcome>> commit(Transaction transaction, Deadline deadline) = 0;

  // Brings an OwnLease back to its full ttl, counted from this call, and returns that ttl. The revision of its entry
  // may change, and nothing else of it but Entry::lease. Touches only a lease on which an entry under the prefix
  // `under` hangs; for any other, or one that has ended: lease_not_found. `unavailable` and `deadline_exceeded` also
  // promise that the lease surely still lives; when the store can no longer promise that, it answers lease_not_found.
  virtual Task<Result<Ttl>> keep_alive(LeaseId id, std::string under, Deadline deadline) = 0;

  // Ends an OwnLease and erases every entry under it, at one revision. Touches what keep_alive() would; with an empty
  // `under` also a lease without entries. lease_not_found as for keep_alive().
  virtual Task<Result<void>> revoke(LeaseId id, std::string under, Deadline deadline) = 0;

  // What hangs on an OwnLease, or on the lease of an entry; nothing when there is no such lease.
  virtual Task<Result<std::optional<LeaseInfo>>> lease(LeaseId id, Deadline deadline) = 0;

  // The remaining life of an entry's lease (Entry::lease); nothing when there is no such lease. Cheaper than lease().
  virtual Task<Result<std::optional<LeaseLife>>> lease_life(LeaseId id, Deadline deadline) = 0;

  // Ends when everything up to `as_of` is durable. Await it before every answer that rests on get(), list() or a
  // Conflict, except to a refused try.
  virtual Task<Result<void>> settled(Revision as_of, Deadline deadline) = 0;

  // The entries with keys that begin with `prefix` and are greater than `after`, at most `limit` (>= 1) of them.
  virtual Task<Result<Listing>> list(std::string prefix, std::string after, std::size_t limit, Deadline deadline) = 0;

  // Follows the entries under `prefix`: first a Snapshot (with `after`: the changes after that revision, if they are
  // still remembered), then each change in revision order, once it is durable. The handler is called on a thread of the
  // store, one event at a time and without locks held, and must not block for long.
  virtual Subscription watch(std::string prefix, std::optional<Revision> after, WatchHandler handler) = 0;

  // The same for callers that only need to hear of changes: its Snapshots are empty, and so cost nothing, however much
  // lies under the prefix. A Snapshot means that changes up to it may not have been delivered; later ones will be.
  virtual Subscription follow(std::string prefix, WatchHandler handler) = 0;
};

}  // namespace sharedlock
