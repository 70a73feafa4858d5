#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <tuple>

#include "store/table/lease_table.h"
#include "support/effort.h"
#include "support/store_printers.h"

// LeaseTable against the simplest thing that could be right, over many random histories.
namespace sharedlock {
namespace {

using std::chrono::milliseconds;

enum class Kind { own, pooled, session };

struct ModelLease {
  Kind kind = Kind::own;
  Ttl ttl{};
  BootTime end{};
  int started = 0;  // of leases that end at the same time, the one that was started or renewed first goes first
};

// What is compared of each answer.
using Effect = std::tuple<std::string, std::optional<Entry>, std::optional<Entry>>;
using Effects = std::vector<Effect>;
struct Answer {
  std::optional<Errc> error{};
  Revision revision{};  // of Committed; as_of of Conflict
  LeaseId lease{};
  Ttl ttl{};
  std::vector<std::optional<Entry>> current{};
  std::vector<bool> occupied{};

  bool operator==(const Answer&) const = default;
};

class Model {
 public:
  explicit Model(Revision last) : revision(last) {}

  // The ids that the table drew; the model takes the same.
  std::deque<LeaseId> drawn;
  Revision revision;
  std::map<std::string, Entry> entries;
  std::map<LeaseId, ModelLease> leases;

  Answer commit(const Transaction& transaction, BootTime now, Effects* effects) {
    if (!valid(transaction)) return {.error = Errc::invalid_argument};
    if (auto lost = conflict(transaction)) return *lost;
    if (uses_a_used_lease(transaction)) return {.error = Errc::lease_in_use};
    bool changes = std::ranges::any_of(transaction.changes, [&](const Mutation& change) {
      return std::holds_alternative<Put>(change) || entries.contains(std::get<Erase>(change).key);
    });
    if (changes) revision = next();
    Answer answer{.revision = revision};
    for (const Mutation& change : transaction.changes) {
      if (auto* erase = std::get_if<Erase>(&change)) {
        if (entries.contains(erase->key)) gone(erase->key, effects);
        continue;
      }
      const Put& put = std::get<Put>(change);
      LeaseId lease = start(put.lifetime, now);
      auto old = entries.find(put.key);
      Revision created = old == entries.end() ? revision : old->second.created;
      LeaseId old_lease = old == entries.end() ? LeaseId{} : old->second.lease;
      entries[put.key] = {.value = put.value, .lease = lease, .created = created, .revision = revision};
      drop_if_pooled_and_empty(old_lease);
      effects->emplace_back(put.key, entries[put.key], std::nullopt);
      if (std::holds_alternative<OwnLease>(put.lifetime)) {
        answer.lease = lease;
        answer.ttl = leases[lease].ttl;
      }
    }
    return answer;
  }

  Answer keep_alive(LeaseId id, const std::string& under, BootTime now) {
    if (!is_own(id) || keys_of(id, under).empty()) return {.error = Errc::lease_not_found};
    tick(leases[id], now);
    return {.ttl = leases[id].ttl};
  }

  Answer revoke(LeaseId id, const std::string& under, Effects* effects) {
    bool touched = is_own(id) && (under.empty() || !keys_of(id, under).empty());
    if (!touched) return {.error = Errc::lease_not_found};
    end(id, effects);
    return {};
  }

  bool expire_one(BootTime now, Effects* effects) {
    auto first = first_to_end();
    if (first == leases.end() || first->second.end > now) return false;
    end(first->first, effects);
    return true;
  }

  BootTime next_expiry() {
    auto first = first_to_end();
    return first == leases.end() ? BootTime::max() : first->second.end;
  }

  std::vector<std::string> keys_of(LeaseId id, const std::string& under = "") const {
    std::vector<std::string> keys;
    for (const auto& [key, entry] : entries) {
      if (entry.lease == id && key.starts_with(under)) keys.push_back(key);
    }
    return keys;
  }

 private:
  Revision next() const { return Revision{number_of(revision) + 1}; }
  bool is_own(LeaseId id) const { return leases.contains(id) && leases.at(id).kind == Kind::own; }

  static bool valid(const Transaction& transaction) {
    std::map<std::string, int> changed;
    int own_leases = 0;
    for (const Mutation& change : transaction.changes) {
      const Put* put = std::get_if<Put>(&change);
      const std::string& key = put ? put->key : std::get<Erase>(change).key;
      if (key.empty() || ++changed[key] > 1) return false;
      if (!put) continue;
      if (auto* pooled = std::get_if<PooledLease>(&put->lifetime); pooled && pooled->ttl < Ttl{1}) return false;
      auto* own = std::get_if<OwnLease>(&put->lifetime);
      if (own && (++own_leases > 1 || own->ttl < Ttl{1} || (own->id && number_of(*own->id) <= 0))) return false;
    }
    return std::ranges::none_of(transaction.expect, [](const Expect& expect) { return expect.key.empty(); });
  }

  std::optional<Answer> conflict(const Transaction& transaction) const {
    Answer conflict{.revision = revision};
    bool lost = false;
    for (const Expect& expect : transaction.expect) {
      auto found = entries.find(expect.key);
      lost |= (found == entries.end() ? kAbsent : found->second.revision) != expect.at;
      conflict.current.push_back(found == entries.end() ? std::nullopt : std::optional(found->second));
    }
    for (const std::string& prefix : transaction.none_under) {
      bool occupied = std::ranges::any_of(entries, [&](const auto& entry) { return entry.first.starts_with(prefix); });
      lost |= occupied;
      conflict.occupied.push_back(occupied);
    }
    return lost ? std::optional(conflict) : std::nullopt;
  }

  bool uses_a_used_lease(const Transaction& transaction) const {
    return std::ranges::any_of(transaction.changes, [&](const Mutation& change) {
      const Put* put = std::get_if<Put>(&change);
      const OwnLease* own = put ? std::get_if<OwnLease>(&put->lifetime) : nullptr;
      if (!own || !own->id || !leases.contains(*own->id)) return false;
      return !is_own(*own->id) || !keys_of(*own->id).empty();
    });
  }

  LeaseId draw() {
    while (leases.contains(drawn.at(0))) drawn.pop_front();
    LeaseId id = drawn.at(0);
    drawn.pop_front();
    return id;
  }

  LeaseId start(const Lifetime& lifetime, BootTime now) {
    if (std::holds_alternative<SessionLease>(lifetime)) {
      for (const auto& [id, lease] : leases) {
        if (lease.kind == Kind::session) return id;
      }
      LeaseId id = draw();
      leases[id] = {.kind = Kind::session, .ttl = Ttl{8}, .end = BootTime::max()};
      return id;
    }
    auto* own = std::get_if<OwnLease>(&lifetime);
    LeaseId id = own && own->id ? *own->id : draw();
    leases[id] = {.kind = own ? Kind::own : Kind::pooled, .ttl = own ? own->ttl : std::get<PooledLease>(lifetime).ttl};
    tick(leases[id], now);
    return id;
  }

  // The end: now + ttl, up to the next quarter of a second.
  void tick(ModelLease& lease, BootTime now) {
    auto end = std::chrono::ceil<milliseconds>((now + lease.ttl).time_since_epoch());
    lease.end = BootTime(std::chrono::ceil<std::chrono::duration<std::int64_t, std::ratio<1, 4>>>(end));
    lease.started = ++starts_;
  }

  std::map<LeaseId, ModelLease>::iterator first_to_end() {
    auto first = leases.end();
    for (auto lease = leases.begin(); lease != leases.end(); ++lease) {
      if (lease->second.kind == Kind::session) continue;
      auto order = [](const ModelLease& one) { return std::pair(one.end, one.started); };
      if (first == leases.end() || order(lease->second) < order(first->second)) first = lease;
    }
    return first;
  }

  void drop_if_pooled_and_empty(LeaseId id) {
    bool pooled = leases.contains(id) && leases[id].kind == Kind::pooled;
    if (pooled && keys_of(id).empty()) leases.erase(id);
  }

  void gone(const std::string& key, Effects* effects) {
    Entry entry = entries.at(key);
    effects->emplace_back(key, std::nullopt, entry);
    entries.erase(key);
    drop_if_pooled_and_empty(entry.lease);
  }

  void end(LeaseId id, Effects* effects) {
    auto keys = keys_of(id);
    if (!keys.empty()) revision = next();
    for (const auto& key : keys) gone(key, effects);
    leases.erase(id);
  }

  int starts_ = 0;
};

// One random history, played to both.
class History {
 public:
  explicit History(unsigned seed) : random_(seed) {}

  void step() {
    changes_.clear();
    effects_.clear();
    unsigned kind = below(100);
    if (kind < 50) {
      commit();
    } else if (kind < 65) {
      LeaseId id = some_id();
      std::string under = one_of(kPrefixes);
      ASSERT_EQ(answer_of(table_.keep_alive(id, under, now_)), model_.keep_alive(id, under, now_));
    } else if (kind < 72) {
      LeaseId id = some_id();
      std::string under = one_of(kPrefixes);
      auto revoked = table_.revoke(id, under, &changes_);
      Answer answer{.error = revoked ? std::nullopt : std::optional(revoked.error().code)};
      ASSERT_EQ(answer, model_.revoke(id, under, &effects_));
    } else if (kind < 85) {
      now_ += milliseconds(below(10) * 250 + below(4) * 77);
    } else {
      ASSERT_EQ(table_.expire_one(now_, &changes_), model_.expire_one(now_, &effects_));
    }
    compare();
  }

  // Lets everything end that ever will.
  void finish() {
    now_ += std::chrono::seconds(9'000'000'100);
    bool ended = true;
    while (ended) {
      changes_.clear();
      effects_.clear();
      ended = table_.expire_one(now_, &changes_);
      ASSERT_EQ(ended, model_.expire_one(now_, &effects_));
      compare();
    }
    ASSERT_EQ(table_.next_expiry(), BootTime::max());
    ASSERT_LE(table_.leases(), 1u);  // that of the session
  }

 private:
  static inline const std::vector<std::string> kKeys{"a", "a/", "a/1", "a/2", "a0", "b/1", "b/\xff", "b0"};
  static inline const std::vector<std::string> kPrefixes{"", "a", "a/", "b/", "b/\xff", "c"};
  static inline const std::vector<Ttl> kTtls{Ttl{1}, Ttl{2}, Ttl{3}, Ttl{5}, Ttl{8}};

  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  template <class T>
  T one_of(const std::vector<T>& all) {
    return all[below(static_cast<unsigned>(all.size()))];
  }
  LeaseId chosen_id() { return LeaseId{1 + below(4)}; }
  LeaseId some_id() {
    if (below(3) == 0 || model_.leases.empty()) return chosen_id();
    return std::next(model_.leases.begin(), below(static_cast<unsigned>(model_.leases.size())))->first;
  }
  // Ids apart from those that are asked for, few enough to be drawn while in use.
  LeaseId draw() {
    LeaseId id{100 + below(60)};
    model_.drawn.push_back(id);
    return id;
  }

  Lifetime lifetime() {
    Ttl ttl = below(200) == 0 ? Ttl{9'000'000'000} : below(200) == 0 ? Ttl{0} : one_of(kTtls);
    switch (below(8)) {
      case 0:
        return SessionLease{};
      case 1:
      case 2:
        return PooledLease{ttl};
      case 3:
      case 4:
        return OwnLease{.ttl = ttl, .id = std::nullopt};
      default:
        return OwnLease{.ttl = ttl, .id = below(100) == 0 ? LeaseId{0} : chosen_id()};
    }
  }

  Transaction transaction() {
    Transaction transaction;
    for (unsigned i = below(3); i > 0; --i) {
      std::string key = below(200) == 0 ? "" : one_of(kKeys);
      auto found = model_.entries.find(key);
      Revision present = found == model_.entries.end() ? kAbsent : found->second.revision;
      Revision at = below(4) == 0 ? Revision{number_of(model_.revision) - below(3)} : present;
      transaction.expect.push_back({key, at});
    }
    if (below(8) == 0) transaction.none_under.push_back(one_of(kPrefixes));
    if (below(16) == 0) transaction.none_under.push_back(one_of(kPrefixes));
    for (unsigned i = below(4); i > 0; --i) {
      std::string key = below(200) == 0 ? "" : one_of(kKeys);
      if (below(3) == 0) {
        transaction.changes.push_back(Erase{key});
      } else {
        transaction.changes.push_back(Put{key, std::to_string(below(1000)), lifetime()});
      }
    }
    return transaction;
  }

  void commit() {
    Transaction transaction = this->transaction();
    // A commit draws ids in the order of its changes, so the table goes first.
    auto outcome = table_.commit(transaction, now_, &changes_);
    Answer expected = model_.commit(transaction, now_, &effects_);
    ASSERT_EQ(answer_of(outcome), expected);
    ASSERT_TRUE(model_.drawn.empty());
  }

  static Answer answer_of(const Result<Outcome>& outcome) {
    if (!outcome) return {.error = outcome.error().code};
    if (auto* lost = std::get_if<Conflict>(&*outcome)) {
      return {.revision = lost->as_of, .current = lost->current, .occupied = lost->occupied};
    }
    auto& won = std::get<Committed>(*outcome);
    return {.revision = won.revision, .lease = won.lease, .ttl = won.ttl};
  }
  static Answer answer_of(const Result<Ttl>& ttl) {
    if (!ttl) return {.error = ttl.error().code};
    return {.ttl = *ttl};
  }

  void compare() {
    table_.check_invariants();
    Effects changes;
    for (const Change& change : changes_) changes.emplace_back(change.key, change.now, change.previous);
    ASSERT_EQ(changes, effects_);
    ASSERT_EQ(table_.revision(), model_.revision);
    ASSERT_EQ(table_.entries(), model_.entries.size());
    ASSERT_EQ(table_.leases(), model_.leases.size());
    ASSERT_EQ(table_.next_expiry(), model_.next_expiry());
    std::string key = one_of(kKeys);
    auto found = model_.entries.find(key);
    ASSERT_EQ(table_.get(key), found == model_.entries.end() ? std::nullopt : std::optional(found->second));
    compare_listing("", "", 100);
    compare_listing(one_of(kPrefixes), below(2) == 0 ? one_of(kKeys) : one_of(kPrefixes), 1 + below(3));
    for (std::int64_t id : {1, 2, 3, 4}) compare_lease(LeaseId{id});
    compare_lease(some_id());
  }

  void compare_listing(const std::string& prefix, const std::string& after, std::size_t limit) {
    std::vector<KeyedEntry> expected;
    for (const auto& entry : model_.entries) {
      if (entry.first.starts_with(prefix) && entry.first > after) expected.push_back(entry);
    }
    bool more = expected.size() > limit;
    expected.resize(std::min(expected.size(), limit));
    Listing listing = table_.list(prefix, after, limit);
    ASSERT_EQ(listing.entries, expected);
    ASSERT_EQ(listing.more, more);
    ASSERT_EQ(listing.as_of, model_.revision);
  }

  void compare_lease(LeaseId id) {
    auto info = table_.lease(id, now_);
    auto expected = model_.leases.find(id);
    ASSERT_EQ(info.has_value(), expected != model_.leases.end());
    if (!info) return;
    const ModelLease& lease = expected->second;
    Ttl left = std::chrono::floor<Ttl>(std::max(lease.end - now_, BootTime::duration::zero()));
    ASSERT_EQ(info->granted, lease.ttl);
    ASSERT_EQ(info->left, lease.kind == Kind::session ? lease.ttl : std::min(left, lease.ttl));
    ASSERT_EQ(info->keys, model_.keys_of(id));
  }

  std::mt19937 random_;
  BootTime now_{std::chrono::seconds(1000)};
  Model model_{Revision{500}};
  LeaseTable table_{Revision{500}, [this] { return draw(); }};
  std::vector<Change> changes_;
  Effects effects_;
};

TEST(LeaseTableHistory, AgreesWithASimpleModel) {
  constexpr unsigned kHistories = test::kFullSpeed ? 300 : 60;
  constexpr int kSteps = 1000;
  for (unsigned seed = 1; seed <= kHistories; ++seed) {
    History history(seed);
    for (int step = 0; step < kSteps; ++step) {
      history.step();
      ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "seed " << seed << ", step " << step;
    }
    history.finish();
    ASSERT_FALSE(::testing::Test::HasFatalFailure()) << "seed " << seed << ", at the end";
  }
}

}  // namespace
}  // namespace sharedlock
