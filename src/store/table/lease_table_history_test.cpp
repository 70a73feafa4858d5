#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "store/table/lease_table.h"
#include "store/table/lease_table_model_test.h"
#include "support/effort.h"
#include "support/store_printers.h"

// LeaseTable against a simple model, over many random histories.
namespace sharedlock::model {
namespace {

using std::chrono::milliseconds;

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
    auto outcome = table_.commit(Transaction(transaction), now_, &changes_);
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
}  // namespace sharedlock::model
