#include "store/etcd/lease/pooled_leases.h"

#include <gtest/gtest.h>

#include <set>

namespace sharedlock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Time that moves by hand, on both clocks or on one.
class PooledLeasesTest : public testing::Test {
 protected:
  using Place = PooledLeases::Place;

  Place join(milliseconds ttl, std::size_t entries = 1) {
    Place place = pool_.join(now_.boot + ttl, now_, entries);
    pool_.check_invariants();
    return place;
  }

  // Joins, and grants at once what is ordered, as it was ordered.
  Place join_and_grant(milliseconds ttl, std::size_t entries = 1) {
    Place place = join(ttl, entries);
    if (place.order) pool_.granted(place.order->id, place.order->ttl);
    for (const auto& order : place.ahead) pool_.granted(order.id, order.ttl);
    pool_.check_invariants();
    return place;
  }

  void advance(milliseconds span) {
    now_.boot += span;
    now_.wall += span;
  }

  PooledLeases pool_;
  Moment now_{BootTime(seconds(1000)), WallTime(seconds(1'800'000'000))};
};

// One second in which others may join, and one that is lost when etcd tells how long the lease still lives.
TEST_F(PooledLeasesTest, TheFirstEntryOrdersALeaseForTwoSecondsMore) {
  auto place = join(seconds(10));
  ASSERT_TRUE(place.order);
  EXPECT_EQ(place.order->id, place.id);
  EXPECT_EQ(place.order->ttl, Ttl(12));
  EXPECT_FALSE(place.granted);
  EXPECT_TRUE(place.ahead.empty());
}

TEST_F(PooledLeasesTest, OthersWaitForTheSameGrant) {
  auto first = join(seconds(10));
  auto second = join(seconds(10));
  EXPECT_EQ(second.id, first.id);
  EXPECT_FALSE(second.order);
  EXPECT_FALSE(second.granted);

  pool_.granted(first.id, Ttl(12));
  auto third = join(seconds(10));
  EXPECT_EQ(third.id, first.id);
  EXPECT_TRUE(third.granted);
}

// Two acquires in one second of the wall clock have one `expiry`, and yet one may have to live 0.95 s longer.
TEST_F(PooledLeasesTest, SafetyR17_AnEntryJoinsOnlyWhatSurelyOutlivesIt) {
  auto first = join_and_grant(seconds(10));
  advance(milliseconds(950));
  EXPECT_EQ(join(seconds(10)).id, first.id);
  advance(milliseconds(50));
  EXPECT_EQ(join(seconds(10)).id, first.id) << "safe until exactly then";
  advance(milliseconds(1));
  auto late = join(seconds(10));
  EXPECT_NE(late.id, first.id);
  EXPECT_TRUE(late.order);
}

TEST_F(PooledLeasesTest, SafetyR17_SafeEndCountsFromTheSendingOfTheGrant) {
  auto first = join(seconds(10));
  advance(seconds(3));
  pool_.granted(first.id, Ttl(12));
  EXPECT_EQ(join(milliseconds(8000)).id, first.id);
  EXPECT_NE(join(milliseconds(8001)).id, first.id) << "the lease may have begun three seconds ago";
}

TEST_F(PooledLeasesTest, AnEntryJoinsNothingThatOutlivesItByMoreThanTwoSeconds) {
  auto first = join_and_grant(seconds(10));
  EXPECT_EQ(join(milliseconds(9000)).id, first.id);
  EXPECT_NE(join(milliseconds(8999)).id, first.id);
}

TEST_F(PooledLeasesTest, OfTwoSuitableLeasesTheOneThatEndsFirstIsJoined) {
  auto shorter = join_and_grant(milliseconds(10'000));
  auto longer = join_and_grant(milliseconds(11'500));
  ASSERT_NE(shorter.id, longer.id);
  EXPECT_EQ(join(milliseconds(11'000)).id, shorter.id);
}

TEST_F(PooledLeasesTest, AGrantedLeaseIsPreferredToAPendingOne) {
  auto longer = join_and_grant(milliseconds(11'500));
  auto shorter = join(milliseconds(10'000));
  ASSERT_NE(shorter.id, longer.id);
  EXPECT_EQ(join(milliseconds(11'000)).id, longer.id);
}

TEST_F(PooledLeasesTest, SafetyR17_TwoHundredEntriesAreTheMost) {
  auto first = join_and_grant(seconds(10));
  for (int i = 1; i < 200; ++i) ASSERT_EQ(join_and_grant(seconds(10)).id, first.id);
  EXPECT_NE(join(seconds(10)).id, first.id);
}

// A lease of the lease API is an entry and its index entry (R33).
TEST_F(PooledLeasesTest, SafetyR17_EntriesThatBelongTogetherTakeASlotEach) {
  auto first = join_and_grant(seconds(10));
  for (int i = 0; i < 99; ++i) ASSERT_EQ(join_and_grant(seconds(10), 2).id, first.id) << i;
  EXPECT_NE(join_and_grant(seconds(10), 2).id, first.id) << "there is one place left";
  EXPECT_EQ(join_and_grant(seconds(10)).id, first.id);
  EXPECT_NE(join_and_grant(seconds(10)).id, first.id);
}

TEST_F(PooledLeasesTest, SafetyR17_NoEntryJoinsAcrossAJumpOfTheClocks) {
  for (milliseconds jump : {milliseconds(1001), milliseconds(-1001)}) {
    auto before = join_and_grant(seconds(10));
    now_.wall += jump;
    EXPECT_NE(join(seconds(10)).id, before.id);
  }
  auto before = join_and_grant(seconds(10));
  now_.wall += seconds(1);
  EXPECT_EQ(join(seconds(10)).id, before.id) << "small steps of the wall clock are ordinary";
}

TEST_F(PooledLeasesTest, NoEntryJoinsADroppedLease) {
  auto gone = join_and_grant(seconds(10));
  pool_.drop(gone.id);
  EXPECT_NE(join(seconds(10)).id, gone.id);
}

// etcd tells in whole seconds, rounded down, how long a lease lives. A lease that was requested in time is then always
// long enough.
TEST_F(PooledLeasesTest, SafetyR34_OneAnswerOfEtcdAboutALeaseServesAllThatJoinedIt) {
  auto first = join_and_grant(seconds(10));
  BootTime lease_ends = now_.boot + first.order->ttl;
  for (int i = 0; i <= 100; ++i) {
    BootTime end = now_.boot + seconds(10);
    ASSERT_EQ(join(seconds(10)).id, first.id) << i;
    for (milliseconds later : {milliseconds(0), milliseconds(1), milliseconds(500), milliseconds(999)}) {
      auto told = now_.boot + later + std::chrono::floor<seconds>(lease_ends - now_.boot - later);
      EXPECT_GE(told, end) << i;
    }
    advance(milliseconds(10));
  }
}

TEST_F(PooledLeasesTest, SafetyR34_NoEntryJoinsALeaseRequestedBeforeTheClocksStoodStill) {
  auto before = join_and_grant(seconds(10));
  EXPECT_EQ(before.sent, now_.boot);
  advance(milliseconds(1));
  pool_.drop_sent_before(now_.boot);
  auto after = join_and_grant(seconds(10));
  EXPECT_NE(after.id, before.id);
  EXPECT_EQ(after.sent, now_.boot);
  advance(milliseconds(1));
  EXPECT_EQ(join(seconds(10)).sent, after.sent);
}

// etcd raises every ttl below its own minimum.
TEST_F(PooledLeasesTest, ALongerLeaseIsJoinedByEntriesThatNeedIt) {
  auto first = join(seconds(1));
  pool_.granted(first.id, Ttl(6));
  EXPECT_NE(join(seconds(1)).id, first.id);
  EXPECT_EQ(join(seconds(4)).id, first.id);
}

TEST_F(PooledLeasesTest, WhenManyEntriesComeLeasesAreOrderedAhead) {
  std::set<LeaseId> waited_for;
  for (int i = 0; i < 20'000; ++i) {
    auto place = join_and_grant(seconds(10));
    if (!place.granted) waited_for.insert(place.id);
    if (i % 100 == 0) advance(milliseconds(1));
  }
  EXPECT_LE(waited_for.size(), 2u);
}

TEST_F(PooledLeasesTest, WhenFewEntriesComeNoLeaseIsOrderedAhead) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(join_and_grant(seconds(10)).ahead.empty());
    advance(milliseconds(100));
  }
}

// An occasional lock for an hour leaves behind a lease that no other entry joins; such leases make room.
TEST_F(PooledLeasesTest, AFrequentlyJoinedLeaseIsNotForgottenForUnusedOnes) {
  auto often = join_and_grant(seconds(900));
  for (int i = 0; i < 600; ++i) {
    join_and_grant(seconds(4000 + 5 * i));
    if (i % 4 == 0) {
      EXPECT_EQ(join(seconds(900)).id, often.id);
    }
    advance(milliseconds(1));
  }
}

TEST_F(PooledLeasesTest, RemembersNoMoreThanMayStillBeJoined) {
  for (int i = 0; i < 1000; ++i) {
    join_and_grant(seconds(10 + i * 5));
    EXPECT_LE(pool_.size(), 257u);
  }
  advance(seconds(10'000));
  join_and_grant(seconds(10));
  EXPECT_EQ(pool_.size(), 1u);
}

}  // namespace
}  // namespace sharedlock
