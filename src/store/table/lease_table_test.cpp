#include "store/table/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/effort.h"
#include "support/store_printers.h"

namespace sharedlock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::IsEmpty;

constexpr BootTime kBegin{seconds(1000)};
constexpr BootTime kEndOfTime = BootTime::max();

Transaction put(std::string key, Lifetime lifetime, std::string value = "") {
  return {.expect = {}, .none_under = {}, .changes = {Put{std::move(key), std::move(value), lifetime}}};
}

Transaction erase(std::string key) {
  return {.expect = {}, .none_under = {}, .changes = {Erase{std::move(key)}}};
}

// A table with ids 1, 2, 3, …, and what it changed.
struct Table {
  LeaseId last_id{};
  LeaseTable table{Revision{100}, [this] { return last_id = LeaseId{number_of(last_id) + 1}; }};
  std::vector<Change> changes;

  Committed apply(Transaction transaction, BootTime now = kBegin) {
    return std::get<Committed>(table.commit(std::move(transaction), now, &changes).value());
  }
  int expire_all(BootTime now) {
    int ended = 0;
    while (table.expire_one(now, &changes)) ++ended;
    return ended;
  }
};

constexpr OwnLease own_for(seconds ttl) {
  return {.ttl = ttl, .id = std::nullopt};
}

TEST(LeaseTable, BeginsEmptyAtTheRevisionGiven) {
  Table t;

  EXPECT_EQ(t.table.revision(), Revision{100});
  EXPECT_EQ(t.table.entries(), 0u);
  EXPECT_EQ(t.table.leases(), 0u);
  EXPECT_EQ(t.table.next_expiry(), kEndOfTime);
  EXPECT_EQ(t.table.list("", "", 10).as_of, Revision{100});
}

TEST(LeaseTable, EachChangingCallIsOneRevision) {
  Table t;
  EXPECT_EQ(t.apply(put("a", own_for(seconds(5)))).revision, Revision{101});
  EXPECT_EQ(t.apply(erase("absent")).revision, Revision{101});
  EXPECT_EQ(t.apply(put("b", own_for(seconds(5)))).revision, Revision{102});
  EXPECT_TRUE(t.table.revoke(LeaseId{1}, "", &t.changes));
  EXPECT_EQ(t.table.revision(), Revision{103});
  EXPECT_EQ(t.expire_all(kBegin + seconds(6)), 1);
  EXPECT_EQ(t.table.revision(), Revision{104});
}

TEST(LeaseTable, LeaseWithoutEntriesEndsWithoutARevision) {
  Table t;
  t.apply(put("a", own_for(seconds(5))));
  t.apply(erase("a"));
  t.changes.clear();

  EXPECT_EQ(t.expire_all(kBegin + seconds(6)), 1);

  EXPECT_EQ(t.table.revision(), Revision{102});
  EXPECT_THAT(t.changes, IsEmpty());
  EXPECT_EQ(t.table.leases(), 0u);
}

TEST(LeaseTable, LeaseEndsOnTheFirstTickThatIsNotTooEarly) {
  Table t;
  t.apply(put("on a tick", own_for(seconds(5))), kBegin);
  EXPECT_EQ(t.table.next_expiry(), kBegin + seconds(5));
  t.table.revoke(LeaseId{1}, "", nullptr);

  t.apply(put("right after a tick", own_for(seconds(5))), kBegin + std::chrono::nanoseconds(1));
  EXPECT_EQ(t.table.next_expiry(), kBegin + seconds(5) + milliseconds(250));
}

TEST(LeaseTable, NothingEndsBeforeItsTime) {
  Table t;
  t.apply(put("a", own_for(seconds(5))));

  EXPECT_FALSE(t.table.expire_one(kBegin + seconds(5) - std::chrono::nanoseconds(1), &t.changes));
  EXPECT_TRUE(t.table.expire_one(kBegin + seconds(5), &t.changes));
  EXPECT_FALSE(t.table.get("a"));
}

TEST(LeaseTable, LongestTtlOfEtcdIsKeptAsItIs) {
  Table t;
  constexpr Ttl kLongest{9'000'000'000};

  Committed committed = t.apply(put("a", own_for(kLongest)));

  EXPECT_EQ(committed.ttl, kLongest);
  EXPECT_EQ(t.table.next_expiry(), kBegin + kLongest);
  EXPECT_EQ(t.table.lease(committed.lease, kBegin).value().left, kLongest);
  EXPECT_EQ(t.table.keep_alive(committed.lease, "", kBegin + seconds(5)).value(), kLongest);
  EXPECT_EQ(t.table.next_expiry(), kBegin + kLongest + seconds(5));
  EXPECT_EQ(t.expire_all(kBegin + kLongest), 0);
}

TEST(LeaseTable, TtlBeyondTheTimeLineEndsWithIt) {
  for (Ttl ttl : {Ttl{9'300'000'000}, Ttl::max()}) {
    Table t;
    LeaseId id = t.apply(put("a", own_for(ttl))).lease;
    t.apply(put("b", PooledLease{ttl}));

    EXPECT_EQ(t.table.next_expiry(), kEndOfTime);
    EXPECT_EQ(t.table.lease(id, kBegin).value().granted, ttl);
    EXPECT_GE(t.table.lease(id, kBegin).value().left, Ttl{9'000'000'000});
    EXPECT_EQ(t.table.keep_alive(id, "", kBegin).value(), ttl);
    EXPECT_EQ(t.expire_all(kEndOfTime - seconds(1)), 0);
    EXPECT_EQ(t.expire_all(kEndOfTime), 2);
  }
}

TEST(LeaseTable, NothingIsLeftToExpireAtTheEndOfTime) {
  Table t;
  EXPECT_FALSE(t.table.expire_one(kEndOfTime, &t.changes));
}

TEST(LeaseTable, TheRemainingTimeIsRoundedDownAndNeverNegative) {
  Table t;
  LeaseId id = t.apply(put("a", own_for(seconds(5)))).lease;

  EXPECT_EQ(t.table.lease(id, kBegin + milliseconds(1)).value().left, Ttl{4});
  EXPECT_EQ(t.table.lease(id, kBegin + milliseconds(4001)).value().left, Ttl{0});
  EXPECT_EQ(t.table.lease(id, kBegin + seconds(60)).value().left, Ttl{0});
}

TEST(LeaseTable, IdsInUseAreDrawnAgain) {
  std::vector<LeaseId> drawn{LeaseId{7}, LeaseId{7}, LeaseId{7}, LeaseId{8}};
  std::size_t next = 0;
  LeaseTable table(Revision{1}, [&] { return drawn.at(next++); });
  auto first = table.commit(put("a", own_for(seconds(5))), kBegin, nullptr);
  auto second = table.commit(put("b", own_for(seconds(5))), kBegin, nullptr);

  EXPECT_EQ(std::get<Committed>(first.value()).lease, LeaseId{7});
  EXPECT_EQ(std::get<Committed>(second.value()).lease, LeaseId{8});
}

TEST(LeaseTable, PooledLeaseGoesWithItsEntry) {
  Table t;
  t.apply(put("overwritten", PooledLease{seconds(5)}));
  t.apply(put("overwritten", SessionLease{}));
  t.apply(put("erased", PooledLease{seconds(5)}));
  t.apply(erase("erased"));

  EXPECT_EQ(t.table.leases(), 1u);
  EXPECT_EQ(t.table.next_expiry(), kEndOfTime);
}

TEST(LeaseTable, EmptySessionLeaseIsNotTakenOver) {
  Table t;
  t.apply(put("session", SessionLease{}));
  LeaseId session = t.table.get("session").value().lease;
  t.apply(erase("session"));

  auto outcome = t.table.commit(put("a", OwnLease{.ttl = seconds(5), .id = session}), kBegin, nullptr);

  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::lease_in_use);
  EXPECT_FALSE(t.table.get("a"));
}

TEST(LeaseTable, DestructionFreesItsContents) {
  Table t;
  t.apply(put("own", own_for(seconds(5))));
  t.apply(put("empty", own_for(Ttl::max())));
  t.apply(erase("empty"));
  t.apply(put("pooled", PooledLease{seconds(5)}));
  t.apply(put("session", SessionLease{}));
  t.apply(put("session 2", SessionLease{}));

  EXPECT_EQ(t.table.entries(), 4u);  // and the address sanitizer says whether they all went
  EXPECT_EQ(t.table.leases(), 4u);
}

// Would take hours if one insertion, renewal or expiry looked through the others.
TEST(LeaseTable, AMillionLeasesComeAndGo) {
  constexpr std::size_t kMany = test::kFullSpeed ? 1'000'000 : 100'000;
  Table t;
  for (std::size_t i = 0; i < kMany; ++i) {
    seconds ttl(1 + i % 600);
    Lifetime lifetime = i % 2 == 0 ? Lifetime(own_for(ttl)) : Lifetime(PooledLease{ttl});
    ASSERT_TRUE(t.table.commit(put(std::to_string(i * 7919 % kMany), lifetime), kBegin, nullptr));
  }
  EXPECT_EQ(t.table.entries(), kMany);
  EXPECT_EQ(t.table.leases(), kMany);
  for (std::size_t i = 0; i < kMany; i += 2) {
    ASSERT_TRUE(t.table.keep_alive(LeaseId{static_cast<std::int64_t>(i + 1)}, "", kBegin + milliseconds(500)));
  }

  std::size_t ended = 0;
  for (BootTime now = kBegin; t.table.leases() > 0; now += seconds(1)) {
    ASSERT_LE(now, kBegin + seconds(601));
    while (t.table.expire_one(now, nullptr)) ++ended;
  }

  EXPECT_EQ(ended, kMany);
  EXPECT_EQ(t.table.entries(), 0u);
  EXPECT_EQ(t.table.next_expiry(), kEndOfTime);
  EXPECT_THAT(t.table.list("", "", 1).entries, IsEmpty());
}

}  // namespace
}  // namespace sharedlock
