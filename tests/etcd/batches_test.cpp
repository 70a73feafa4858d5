#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <map>
#include <random>
#include <set>

#include "base/clock.h"
#include "base/io_threads.h"
#include "base/random.h"
#include "base/task_group.h"
#include "contract/store_client.h"
#include "store/etcd/etcd_store.h"
#include "support/embedded_fixture.h"
#include "support/etcd_server.h"

namespace sharedlock::test {
namespace {

using ::testing::Le;

// What one caller did, successfully: a change of `key` where `seen` stood (kAbsent: nothing).
struct Won {
  std::string key;
  Revision seen;
  Revision now;
  bool erased;
};

// Many callers at once, on several threads, of one store on a real etcd.
class EtcdBatches : public ::testing::Test {
 protected:
  static std::unique_ptr<LeaseStore> make_store(EtcdServer& etcd, Clock& clock) {
    EtcdOptions options;
    options.endpoints = etcd.urls();
    options.request_timeout = std::chrono::seconds(20);  // a machine at its limit answers late, and is not away
    return make_etcd_store(std::move(options), clock, silent_log()).value();
  }

  // Runs `task(i)` for each caller; all at once.
  template <class MakeTask>
  void all_at_once(int callers, MakeTask task) {
    TaskGroup group;
    for (int i = 0; i < callers; ++i) group.spawn(threads_.executor(static_cast<std::size_t>(i % 3)), task(i));
  }

  Task<void> create(std::string key, std::string value, Ttl ttl, std::vector<Result<Outcome>>* outcomes, int index) {
    auto transaction = StoreClient::creation(std::move(key), std::move(value), PooledLease{ttl});
    Deadline deadline{clock_.boot_now() + std::chrono::seconds(30)};
    auto outcome = co_await store_->commit(std::move(transaction), deadline);
    (*outcomes)[static_cast<std::size_t>(index)] = outcome;
  }

  // `count` entries under `prefix`, made at the same time.
  std::vector<Result<Outcome>> create_many(const std::string& prefix, int count, const std::string& value, Ttl ttl) {
    std::vector<Result<Outcome>> outcomes(static_cast<std::size_t>(count), Error{Errc::unavailable, "never ended"});
    all_at_once(count, [&](int i) { return create(prefix + std::to_string(i), value, ttl, &outcomes, i); });
    return outcomes;
  }

  Task<void> erase(std::string key, std::vector<Result<Outcome>>* outcomes, int index) {
    Deadline deadline{clock_.boot_now() + std::chrono::seconds(30)};
    auto found = co_await store_->get(key, deadline);
    EXPECT_TRUE(found && found->entry);
    if (!found || !found->entry) co_return;
    Transaction transaction;
    transaction.expect.push_back({key, found->entry->revision});
    transaction.changes.emplace_back(Erase{key});
    auto outcome = co_await store_->commit(std::move(transaction), deadline);
    (*outcomes)[static_cast<std::size_t>(index)] = outcome;
  }

  // What create_many() has made, at the same time.
  std::vector<Result<Outcome>> erase_many(const std::string& prefix, int count) {
    std::vector<Result<Outcome>> outcomes(static_cast<std::size_t>(count), Error{Errc::unavailable, "never ended"});
    all_at_once(count, [&](int i) { return erase(prefix + std::to_string(i), &outcomes, i); });
    return outcomes;
  }

  static bool is_committed(const Result<Outcome>& outcome) {
    return outcome && std::holds_alternative<Committed>(*outcome);
  }
  static int committed(const std::vector<Result<Outcome>>& outcomes) {
    return static_cast<int>(std::ranges::count_if(outcomes, is_committed));
  }

  // Expects that all succeeded, and shows the error of the first that did not.
  static ::testing::AssertionResult all_committed(const std::vector<Result<Outcome>>& outcomes) {
    auto other = std::ranges::find_if_not(outcomes, is_committed);
    if (other == outcomes.end()) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << committed(outcomes) << " of " << outcomes.size() << "; number "
                                         << other - outcomes.begin() << ": "
                                         << (*other ? std::string("a conflict") : other->error().message);
  }

  // Changes a few contended keys, by compare-and-swap at the revision seen last.
  Task<void> struggle(std::string prefix, unsigned seed, std::vector<Won>* won) {
    std::mt19937 random(seed);
    std::map<std::string, Revision> seen;
    for (int i = 0; i < 60; ++i) {
      std::string key = prefix + std::to_string(random() % 6);
      Deadline deadline{clock_.boot_now() + std::chrono::seconds(30)};
      if (random() % 3 == 0) {
        auto found = co_await store_->get(key, deadline);
        EXPECT_TRUE(found);
        seen[key] = found->entry ? found->entry->revision : kAbsent;
      }
      Revision at = seen[key];
      bool erases = at != kAbsent && random() % 3 == 0;
      Transaction transaction{.expect = {{key, at}}, .none_under = {}, .changes = {}};
      if (erases) {
        transaction.changes.emplace_back(Erase{key});
      } else {
        transaction.changes.emplace_back(Put{key, std::to_string(seed) + "." + std::to_string(i), kLasting});
      }
      auto outcome = co_await store_->commit(std::move(transaction), deadline);
      EXPECT_TRUE(outcome) << outcome.error().message;
      if (!outcome) co_return;
      if (auto* done = std::get_if<Committed>(&*outcome)) {
        won->push_back({key, at, done->revision, erases});
        seen[key] = erases ? kAbsent : done->revision;
      } else {
        auto& conflict = std::get<Conflict>(*outcome);
        seen[key] = conflict.current[0] ? conflict.current[0]->revision : kAbsent;
        EXPECT_NE(seen[key], at) << "it was no conflict";
        EXPECT_THAT(seen[key], Le(conflict.as_of));
      }
    }
  }

  static std::string hex(LeaseId id) {
    char text[20];
    std::snprintf(text, sizeof text, "%" PRIx64, static_cast<std::uint64_t>(number_of(id)));
    return text;
  }

  EtcdServer& etcd_ = EtcdServer::shared();
  SystemClock clock_;
  IoThreads threads_{3};
  std::unique_ptr<LeaseStore> store_ = make_store(etcd_, clock_);
  StoreClient client_{*store_};
  std::string prefix_ = "/batches/" + random_uuid() + "/";
};

TEST_F(EtcdBatches, SafetyR15_AnExistingEntryIsReplacedOnce) {
  constexpr int kCallers = 48;
  std::vector<std::vector<Won>> won(kCallers);
  all_at_once(kCallers,
              [&](int i) { return struggle(prefix_, static_cast<unsigned>(i), &won[static_cast<std::size_t>(i)]); });

  std::map<std::string, std::map<Revision, Won>> changes;  // by key, in order
  for (const auto& of_one : won) {
    for (const Won& change : of_one) {
      EXPECT_TRUE(changes[change.key].emplace(change.now, change).second) << "two changes of one key at one revision";
    }
  }
  for (const auto& [key, in_order] : changes) {
    Revision stands = kAbsent;
    for (const auto& [revision, change] : in_order) {
      ASSERT_EQ(change.seen, stands) << key << " was changed at " << number_of(revision) << " where it no longer stood";
      stands = change.erased ? kAbsent : revision;
    }
    auto entry = client_.get(key);
    EXPECT_EQ(entry ? entry->revision : kAbsent, stands);
  }
}

TEST_F(EtcdBatches, SafetyR16_EveryAnswerHasARevisionOfItsOwnKey) {
  auto outcomes = create_many(prefix_, 300, "v", Ttl{60});
  ASSERT_EQ(committed(outcomes), 300);
  std::set<Revision> revisions;
  for (int i = 0; i < 300; ++i) {
    auto revision = std::get<Committed>(*outcomes[static_cast<std::size_t>(i)]).revision;
    revisions.insert(revision);
    EXPECT_EQ(client_.get(prefix_ + std::to_string(i))->revision, revision);
  }
  EXPECT_LT(revisions.size(), 150u) << "they went one by one";
}

TEST_F(EtcdBatches, SafetyR17_ManyShareALeaseAndNoneHasMoreThan200) {
  ASSERT_TRUE(all_committed(create_many(prefix_, 500, "v", Ttl{60})));
  std::map<LeaseId, int> entries;
  for (const auto& [key, entry] : client_.state_under(prefix_)) ++entries[entry.lease];
  EXPECT_GE(entries.size(), 3u);
  EXPECT_LE(entries.size(), 12u);
  for (const auto& [lease, count] : entries) {
    EXPECT_LE(count, 200);
    EXPECT_GE(client_.lease(lease)->left, Ttl{59});
  }
}

TEST_F(EtcdBatches, SafetyR17_ALeaseThatEndedHarmsNoOtherRequest) {
  client_.put(prefix_ + "first", "v", PooledLease{Ttl{60}});
  LeaseId shared = client_.get(prefix_ + "first")->lease;
  etcd_.etcdctl({"lease", "revoke", hex(shared)});

  EXPECT_TRUE(all_committed(create_many(prefix_, 60, "v", Ttl{60})));
  for (const auto& [key, entry] : client_.state_under(prefix_)) EXPECT_NE(entry.lease, shared);
}

// Two callers want the same key at the same moment, and others don't interfere: one of each two wins.
TEST_F(EtcdBatches, SafetyR15_OneOfTwoRequestsForAKeyWins) {
  std::vector<Result<Outcome>> outcomes(400, Error{Errc::unavailable, "never ended"});
  all_at_once(400, [&](int i) { return create(prefix_ + std::to_string(i / 2), "v", Ttl{60}, &outcomes, i); });
  EXPECT_EQ(committed(outcomes), 200);
  for (std::size_t i = 0; i < 400; i += 2) {
    ASSERT_TRUE(outcomes[i] && outcomes[i + 1]);
    EXPECT_NE(std::holds_alternative<Committed>(*outcomes[i]), std::holds_alternative<Committed>(*outcomes[i + 1]));
  }
}

TEST_F(EtcdBatches, OneOfManyRequestsForAKeyWinsAndAllLearnTheWinner) {
  std::vector<Result<Outcome>> outcomes(300, Error{Errc::unavailable, "never ended"});
  all_at_once(300, [&](int i) { return create(prefix_ + "one", std::to_string(i), Ttl{60}, &outcomes, i); });
  auto winner = client_.get(prefix_ + "one");
  ASSERT_TRUE(winner);
  EXPECT_EQ(committed(outcomes), 1);
  for (const auto& outcome : outcomes) {
    ASSERT_TRUE(outcome);
    auto* conflict = std::get_if<Conflict>(&*outcome);
    EXPECT_TRUE(!conflict || conflict->current.at(0) == winner);
  }
}

// This version of etcd takes nested puts in when it has no space left.
// Neither can the epoch of a server that has just begun.
TEST_F(EtcdBatches, SafetyR18_WithoutSpaceManyMayEraseAtOnce) {
  EtcdServer full({.quota_bytes = 512 << 10});
  store_ = make_store(full, clock_);
  ASSERT_TRUE(all_committed(create_many(prefix_, 100, "v", Ttl{600})));
  const std::string large(300'000, 'v');
  for (int round = 0; full.try_etcdctl({"put", "filler"}, large).exit_code == 0; ++round) ASSERT_LT(round, 50);

  store_ = make_store(full, clock_);
  EXPECT_EQ(committed(create_many(prefix_ + "more/", 3, "v", Ttl{600})), 0);
  EXPECT_TRUE(all_committed(erase_many(prefix_, 100)));
}

TEST_F(EtcdBatches, SafetyR18_WithoutSpaceNothingSlipsInBetweenOthers) {
  EtcdServer full({.quota_bytes = 8 << 20});
  store_ = make_store(full, clock_);
  const std::string large(100'000, 'v');
  for (int round = 0; committed(create_many(prefix_ + std::to_string(round) + "/", 20, large, Ttl{600})) == 20;
       ++round) {
    ASSERT_LT(round, 50) << "the quota is not noticed";
  }
  EXPECT_EQ(committed(create_many(prefix_ + "more/", 100, "v", Ttl{600})), 0);

  StoreClient client(*store_);
  EXPECT_TRUE(client.commit({.expect = {}, .none_under = {}, .changes = {Erase{prefix_ + "0/0"}}}))
      << "erasing may go on";

  for (const std::string& key : client.keys_under(prefix_)) client.erase(key);
  auto revision = std::to_string(number_of(client.now()));
  full.etcdctl({"compact", revision});
  full.etcdctl({"defrag"});
  full.etcdctl({"alarm", "disarm"});
  EXPECT_TRUE(all_committed(create_many(prefix_ + "again/", 100, "v", Ttl{600})));
}

}  // namespace
}  // namespace sharedlock::test
