#include "store/etcd/lease/keepalive_slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/etcd/lease/lease_safety.h"
#include "store/lease_ids.h"

namespace sharedlock {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

constexpr LeaseId kA{1}, kB{2};
constexpr BootTime kStart{seconds(1000)};

class KeepaliveSlotsTest : public ::testing::Test {
 protected:
  void ask(LeaseId id, int waiter, Deadline deadline = Deadline::never()) { slots.ask(id, waiter, deadline); }
  std::optional<LeaseId> send(BootTime at = kStart) { return slots.send_next(at); }
  std::vector<int> answer(LeaseId id) {
    auto answered = slots.answered(id);
    return answered ? answered->waiters : std::vector<int>{-1};
  }

  KeepaliveSlots<int> slots;
};

TEST_F(KeepaliveSlotsTest, RequestsAreSentInTheirOrderOfArrival) {
  ask(kB, 1);
  ask(kA, 2);
  EXPECT_THAT(send(), Optional(kB));
  EXPECT_THAT(send(), Optional(kA));
  EXPECT_EQ(send(), std::nullopt);
}

TEST_F(KeepaliveSlotsTest, SafetyR09_AnUnsentRequestIsShared) {
  ask(kA, 1);
  ask(kA, 2);
  EXPECT_THAT(send(), Optional(kA));
  EXPECT_EQ(send(), std::nullopt);
  EXPECT_THAT(answer(kA), ElementsAre(1, 2));
}

TEST_F(KeepaliveSlotsTest, SafetyR09_AnAnswerIsNeverGivenToALaterQuestion) {
  ask(kA, 1);
  send();
  ask(kA, 2);
  EXPECT_THAT(answer(kA), ElementsAre(1));
  EXPECT_THAT(send(), Optional(kA));
  EXPECT_THAT(answer(kA), ElementsAre(2));
}

TEST_F(KeepaliveSlotsTest, SafetyR09_AnAnswerIsForTheOldestSlotWithItsId) {
  ask(kA, 1);
  send(kStart);
  ask(kA, 2);
  send(kStart + seconds(1));
  auto first = slots.answered(kA);
  EXPECT_THAT(first->waiters, ElementsAre(1));
  EXPECT_EQ(first->sent, kStart);
  EXPECT_EQ(slots.answered(kA)->sent, kStart + seconds(1));
}

TEST_F(KeepaliveSlotsTest, SafetyR09_ASlotOutlivesCallersThatGaveUp) {
  ask(kA, 1, Deadline{kStart + seconds(1)});
  send();
  EXPECT_THAT(slots.take_late(kStart + seconds(1)), ElementsAre(1));
  ask(kA, 2);
  send();
  EXPECT_THAT(answer(kA), IsEmpty()) << "the older renewal's answer";
  EXPECT_THAT(answer(kA), ElementsAre(2));
}

TEST_F(KeepaliveSlotsTest, SafetyR09_WhenTheStreamEndsEverythingIsSentAgain) {
  ask(kA, 1);
  ask(kB, 2);
  send();
  send();
  ask(kA, 3);
  slots.stream_ended();
  EXPECT_EQ(slots.oldest_sent(), std::nullopt);
  EXPECT_THAT(send(), Optional(kA));
  EXPECT_THAT(send(), Optional(kB));
  EXPECT_THAT(send(), Optional(kA));
  EXPECT_THAT(answer(kA), ElementsAre(1));
}

TEST_F(KeepaliveSlotsTest, ARequestWithoutAWaiterIsNotSentAgain) {
  ask(kA, 1, Deadline{kStart});
  ask(kB, 2, Deadline{kStart});
  send();
  slots.take_late(kStart);
  EXPECT_FALSE(slots.has_waiters());
  EXPECT_EQ(send(), std::nullopt) << "given up before it was sent";
  slots.stream_ended();
  EXPECT_EQ(send(), std::nullopt);
}

TEST_F(KeepaliveSlotsTest, AnAnswerToNothingIsIgnored) {
  EXPECT_EQ(slots.answered(kA), std::nullopt);
  ask(kA, 1);
  EXPECT_EQ(slots.answered(kA), std::nullopt) << "not sent yet";
}

TEST_F(KeepaliveSlotsTest, KnowsTheOldestUnansweredRequest) {
  ask(kA, 1);
  ask(kB, 2);
  send(kStart);
  send(kStart + seconds(1));
  EXPECT_THAT(slots.oldest_sent(), Optional(kStart));
  slots.answered(kA);
  EXPECT_THAT(slots.oldest_sent(), Optional(kStart + seconds(1)));
}

TEST(LeaseSafety, SafetyR08_ALeaseIsSureForItsTtlSinceItWasSent) {
  LeaseSafety safety;
  EXPECT_FALSE(safety.surely_lives(kA, kStart));
  safety.renewed(kA, kStart, Ttl{10});
  EXPECT_TRUE(safety.surely_lives(kA, kStart + seconds(10) - std::chrono::nanoseconds(1)));
  EXPECT_FALSE(safety.surely_lives(kA, kStart + seconds(10)));
  EXPECT_FALSE(safety.surely_lives(kB, kStart));
}

TEST(LeaseSafety, SafetyR08_ARenewalMakesItLongerNeverShorter) {
  LeaseSafety safety;
  safety.renewed(kA, kStart + seconds(5), Ttl{10});
  safety.renewed(kA, kStart, Ttl{10});  // an older one, answered later
  EXPECT_TRUE(safety.surely_lives(kA, kStart + seconds(14)));
}

TEST(LeaseSafety, SafetyR08_AnEndedLeaseIsNotSure) {
  LeaseSafety safety;
  safety.renewed(kA, kStart, Ttl{10});
  safety.ended(kA);
  EXPECT_FALSE(safety.surely_lives(kA, kStart));
}

TEST(LeaseSafety, TheLongestTtlDoesNotOverflow) {
  LeaseSafety safety;
  safety.renewed(kA, kStart, Ttl{9'000'000'000});
  EXPECT_TRUE(safety.surely_lives(kA, kStart + std::chrono::hours(1'000'000)));
}

TEST(LeaseSafety, LeasesThatAreNotRenewedAreForgotten) {
  LeaseSafety safety;
  for (int i = 1; i <= 100'000; ++i) safety.renewed(LeaseId{i}, kStart + seconds(i), Ttl{10});
  EXPECT_LT(safety.size(), 3000u);
  EXPECT_TRUE(safety.surely_lives(LeaseId{100'000}, kStart + seconds(100'000)));
}

TEST(EtcdLeaseIds, TheKindIsWrittenInTheId) {
  for (int i = 0; i < 1000; ++i) {
    LeaseId shared = random_shared_lease_id();
    EXPECT_GT(shared, LeaseId{0});
    EXPECT_TRUE(is_shared_lease(shared));
    EXPECT_FALSE(is_shared_lease(random_lease_id()));
  }
}

}  // namespace
}  // namespace sharedlock
