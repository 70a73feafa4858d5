#include "store/etcd/lease/lease_key_counts.h"

#include <gtest/gtest.h>

#include <optional>

namespace sharedlock {
namespace {

constexpr LeaseId kOne{1001};
constexpr LeaseId kOther{1002};

Entry entry(LeaseId lease, int created, int revision) {
  return {.value = "", .lease = lease, .created = Revision{created}, .revision = Revision{revision}};
}

class LeaseKeyCountsTest : public ::testing::Test {
 protected:
  void snapshot_of(LeaseId lease) { counts.on_event(Snapshot{Revision{5}, {{"k", entry(lease, 4, 4)}}}); }
  void change(std::optional<Entry> now, std::optional<Entry> previous) {
    ChangeBatch batch{.revision = Revision{6}, .changes = {}};
    batch.changes.push_back({.key = "k", .now = std::move(now), .previous = std::move(previous)});
    counts.on_event(batch);
  }
  LeaseKeyCounts counts;
};

TEST_F(LeaseKeyCountsTest, KnowsWhatTheSnapshotAndTheChangesSay) {
  EXPECT_FALSE(counts.has_key(kOne));
  snapshot_of(kOne);
  EXPECT_TRUE(counts.has_key(kOne));
  EXPECT_FALSE(counts.has_key(kOther));
  change(entry(kOther, 6, 6), std::nullopt);
  EXPECT_TRUE(counts.has_key(kOther));
}

TEST_F(LeaseKeyCountsTest, SafetyR04_AnErasedKeyIsNoLongerCounted) {
  snapshot_of(kOne);
  change(std::nullopt, entry(kOne, 4, 4));
  EXPECT_FALSE(counts.has_key(kOne));
}

TEST_F(LeaseKeyCountsTest, SafetyR04_AMovedKeyCountsForItsNewLeaseOnly) {
  snapshot_of(kOne);
  change(entry(kOther, 4, 6), entry(kOne, 4, 4));
  EXPECT_FALSE(counts.has_key(kOne));
  EXPECT_TRUE(counts.has_key(kOther));
}

TEST_F(LeaseKeyCountsTest, SafetyR04_AKeyThatIsWrittenAgainCountsOnce) {
  snapshot_of(kOne);
  change(entry(kOne, 4, 6), std::nullopt);
  change(std::nullopt, entry(kOne, 4, 6));
  EXPECT_FALSE(counts.has_key(kOne));
}

TEST_F(LeaseKeyCountsTest, TheLastOfSeveralKeysDecides) {
  snapshot_of(kOne);
  change(entry(kOne, 6, 6), std::nullopt);
  change(std::nullopt, entry(kOne, 4, 4));
  EXPECT_TRUE(counts.has_key(kOne));
}

TEST_F(LeaseKeyCountsTest, SafetyR04_KnowsNothingWhileTheWatchIsNotLive) {
  snapshot_of(kOne);
  counts.on_event(Liveness{false});
  EXPECT_FALSE(counts.has_key(kOne));
  snapshot_of(kOther);
  EXPECT_FALSE(counts.has_key(kOther)) << "a snapshot alone does not make it live";
  counts.on_event(Liveness{true});
  EXPECT_TRUE(counts.has_key(kOther));
}

TEST_F(LeaseKeyCountsTest, SafetyR04_ASnapshotVoidsWhatWasKnown) {
  snapshot_of(kOne);
  snapshot_of(kOther);
  EXPECT_FALSE(counts.has_key(kOne));
}

TEST_F(LeaseKeyCountsTest, ForgetsALeaseThatWeEnd) {
  snapshot_of(kOne);
  counts.forget(kOne);
  EXPECT_FALSE(counts.has_key(kOne));
}

TEST(LeaseKeyCounts, ALeaseThatFoundNoRoomIsUnknown) {
  LeaseKeyCounts none(0);
  none.on_event(Snapshot{Revision{5}, {{"k", entry(kOne, 4, 4)}}});
  EXPECT_FALSE(none.has_key(kOne));
}

}  // namespace
}  // namespace sharedlock
