#pragma once

#include <boost/container/small_vector.hpp>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/result.h"
#include "store/lease_store.h"
#include "store/table/ordered_index.h"
#include "store/table/sharded_index.h"

namespace sharedlock {

// Hears when a lease begins, gets another ttl, or ends; for a store that records that. Never about the session's lease.
class LeaseObserver {
 public:
  virtual ~LeaseObserver() = default;
  virtual void on_lease(LeaseId id, bool own, Ttl ttl) = 0;
  virtual void on_lease_ended(LeaseId id) = 0;
};

// The state behind the memory and the embedded store: entries, leases, and when they end. Pure: it has no clock (each
// call gets the time), no thread, no lock and no disk, so that a history of calls always leads to the same state. Not
// thread-safe.
class LeaseTable {
 public:
  using FreshId = std::function<LeaseId()>;

  // The first change gets the revision after `last`. `fresh_id` draws lease ids; one in use is drawn again. `observer`,
  // if given, must outlive the table.
  LeaseTable(Revision last, FreshId fresh_id, LeaseObserver* observer = nullptr);
  LeaseTable(const LeaseTable&) = delete;
  LeaseTable& operator=(const LeaseTable&) = delete;
  ~LeaseTable();

  // Of the last change; before the first change, the constructor's `last`.
  Revision revision() const { return revision_; }

  std::size_t entries() const { return by_key_.size(); }
  std::size_t leases() const { return leases_.size(); }

  std::optional<Entry> get(std::string_view key) const;
  Listing list(std::string_view prefix, std::string_view after, std::size_t limit) const;
  std::optional<LeaseInfo> lease(LeaseId id, BootTime now) const;
  std::optional<LeaseLife> lease_life(LeaseId id) const;

  // As LeaseStore describes them. Changes are appended to `changes`, unless that is null.
  Result<Outcome> commit(Transaction&& transaction, BootTime now, std::vector<Change>* changes);
  Result<Ttl> keep_alive(LeaseId id, std::string_view under, BootTime now);
  Result<void> revoke(LeaseId id, std::string_view under, std::vector<Change>* changes);

  // What keep_alive() would answer, without doing it.
  Result<Ttl> check_alive(LeaseId id, std::string_view under) const;

  // Ends one lease that is due, at a revision of its own if it had entries. False when there is none.
  bool expire_one(BootTime now, std::vector<Change>* changes);

  // When the next lease ends; the end of time when none does.
  BootTime next_expiry() const;

  // Whether it is the lease of the SessionLease entries.
  bool is_session(LeaseId id) const { return session_ && session_->id == id; }

  // Restores what was recorded before a restart: first every lease, which gets its full ttl again, then every entry.
  // The observer is not called. False, with nothing changed, when it is inconsistent: the id, key or ttl is invalid or
  // already there, the lease is unknown, or the revisions are ahead of this table's.
  bool restore_lease(LeaseId id, bool own, Ttl ttl, BootTime now);
  bool restore_entry(std::string key, Entry entry);

  // Ends the process if its indexes disagree: keys, their order, leases and when they end. Looks at everything. In
  // Debug builds the calls above run this themselves after their changes, at the pace of CheckPace.
  void check_invariants() const;

 private:
  enum class Kind : std::uint8_t { own, pooled, session };
  struct LeaseNode;
  struct EntryNode;
  struct Tick;

  using InList = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;
  struct EntryNode : InList {  // in the list of its lease
    std::string key;
    std::string value;
    LeaseNode* lease = nullptr;
    Revision created{};
    Revision revision{};

    Entry entry() const;
  };
  struct EntryTraits {
    using Key = std::string_view;
    static Key key_of(const EntryNode& node) { return node.key; }
    static std::size_t hash(Key key);
  };
  using EntryList = boost::intrusive::list<EntryNode, boost::intrusive::constant_time_size<false>>;

  struct LeaseNode : InList {  // in the list of leases that end in the same tick
    LeaseId id{};
    Kind kind = Kind::own;
    Ttl ttl{};
    Tick* tick = nullptr;  // when it ends; null: it is the session's
    EntryList entries;
  };
  struct LeaseTraits {
    using Key = LeaseId;
    static Key key_of(const LeaseNode& node) { return node.id; }
    static std::size_t hash(Key key);
  };
  using LeaseList = boost::intrusive::list<LeaseNode, boost::intrusive::constant_time_size<false>>;
  struct Tick {
    std::int64_t number = 0;  // see tick_of()
    LeaseList leases;
  };

  // Each key of a transaction is looked up once.
  using Keys = ShardedIndex<EntryNode, EntryTraits>;
  using Places = boost::container::small_vector<Keys::Place, 4>;

  bool any_under(std::string_view prefix) const;
  static std::optional<Entry> entry_of(const EntryNode* node);
  LeaseNode* own_lease(LeaseId id, std::string_view under) const;  // null: none that a caller may touch
  Places places_expected(const Transaction& transaction) const;
  Places places_changed(const Transaction& transaction, const Places& expected) const;
  bool holds(const Transaction& transaction, const Places& expected) const;
  Conflict conflict(const Transaction& transaction, const Places& expected) const;
  bool takes_a_used_lease(const Transaction& transaction) const;
  static bool keeps_another_lease(const Transaction& transaction, const Places& changed);
  static bool changes_anything(const Transaction& transaction, const Places& changed);

  LeaseNode& lease_for(const Lifetime& lifetime, BootTime now);
  LeaseNode& new_lease(LeaseId id, Kind kind, Ttl ttl);
  LeaseId unused_id();
  LeaseNode& begin_lease(LeaseId id, Kind kind, Ttl ttl, BootTime now);
  EntryNode& new_entry(std::string key, std::size_t hash, Revision created);
  void tell(const LeaseNode& lease);
  void start_ticking(LeaseNode& lease, BootTime now);
  void end_at(LeaseNode& lease, BootTime end);
  void stop_ticking(LeaseNode& lease);
  void drop_lease(LeaseNode& lease);

  const LeaseNode& put(Put& put, Keys::Place at, BootTime now, std::vector<Change>* changes);
  void erase(EntryNode& node, std::vector<Change>* changes);
  void detach(EntryNode& node);
  void end_lease(LeaseNode& lease, std::vector<Change>* changes);

  void check_in_turn();  // after each change
  void check_entries() const;
  std::size_t check_lease(const LeaseNode& lease) const;  // how many entries it has

  Revision revision_;
  FreshId fresh_id_;
  LeaseObserver* observer_;
  Keys by_key_;
  OrderedIndex<EntryNode, EntryTraits> in_order_;
  ShardedIndex<LeaseNode, LeaseTraits> leases_;
  std::map<std::int64_t, Tick> ending_;  // by number
  LeaseNode* session_ = nullptr;         // made when first asked for
  CheckPace pace_;
};

}  // namespace sharedlock
