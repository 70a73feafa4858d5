// How a wait is made of polls, with thousands of cases, no clock and no connection.
#include "client/polls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "sharedlock/client.h"

namespace sharedlock::client {
namespace {

using namespace std::chrono_literals;
using Next = Polls::Next;

constexpr TimePoint kBegin{std::chrono::hours(1)};

Polls::End cut(Wait asked, TimePoint sent) {
  return {.asked = asked, .begun = sent, .sent = sent, .cut = true};
}
Polls::End refused_connection(Wait asked, TimePoint begun) {
  return {.asked = asked, .begun = begun};
}

TEST(PollsTest, NoPollIsLongerThanAskedNorThanWhatIsLeft) {
  Polls polls(kBegin, {.wait = 120s, .poll = 50s});
  EXPECT_EQ(polls.next(kBegin), 50s);
  EXPECT_EQ(polls.next(kBegin + 100s), 20s);
  EXPECT_EQ(polls.next(kBegin + 119500ms), 1s);
  EXPECT_EQ(polls.next(kBegin + 121s), 0s);
  EXPECT_EQ(polls.refused(kBegin + 100s, kBegin + 120s), Next::over);
  EXPECT_EQ(Polls(kBegin, {.wait = 0s}).next(kBegin), 0s);
  EXPECT_EQ(Polls(kBegin, {.wait = kForEver, .poll = 100000s}).next(kBegin), 3600s) << "more no server takes";
}

// With any timeout of the gateway: no wait ends by it, and soon the server answers first.
TEST(PollsTest, AWaitForEverOutlastsEveryGateway) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    auto bears = std::chrono::milliseconds(1000 + random() % 100'000);
    Polls polls(kBegin, {.wait = kForEver, .poll = 50s, .patience = 1ms});
    TimePoint now = kBegin;
    int cuts = 0;
    for (int poll = 0; poll < 200; ++poll) {
      Wait asked = polls.next(now);
      ASSERT_GE(asked, 1s);
      ASSERT_LE(asked, 50s);
      TimePoint sent = now;
      bool is_cut = bears <= asked;
      now += is_cut ? BootClock::duration(bears) : BootClock::duration(asked);
      cuts += is_cut ? 1 : 0;
      ASSERT_EQ(is_cut ? polls.unanswered(cut(asked, sent), now) : polls.refused(sent, now), Next::at_once);
      auto shorter = std::max<BootClock::duration>(1s, BootClock::duration(bears) * 3 / 4);
      ASSERT_LE(polls.next(now), is_cut ? shorter : BootClock::duration(50s));
    }
    EXPECT_TRUE(cuts <= 24 || bears <= 1500ms) << bears.count() << " ms: one poll in eight looks whether more goes";
  }
}

// With any number of cuts in a row.
TEST(PollsTest, CutsNeverCountAgainstPatience) {
  Polls polls(kBegin, {.wait = kForEver, .poll = 50s, .patience = 10s});
  for (TimePoint now = kBegin; now < kBegin + 1h; now += 1s) {
    ASSERT_EQ(polls.unanswered(cut(polls.next(now), now), now + 1s), Next::at_once);
  }
  EXPECT_EQ(polls.next(kBegin + 1h), 1s);
}

TEST(PollsTest, APollThatEndsWithinASecondIsAFailure) {
  Polls polls(kBegin, {.wait = kForEver, .poll = 50s, .patience = 10s});
  EXPECT_EQ(polls.unanswered(cut(50s, kBegin), kBegin + 900ms), Next::after_a_pause);
  EXPECT_EQ(polls.next(kBegin + 1s), 1s) << "a short one shows whether the server is back";
  EXPECT_EQ(polls.unanswered(cut(1s, kBegin + 10s), kBegin + 10800ms), Next::after_a_pause);
  EXPECT_EQ(polls.unanswered(cut(1s, kBegin + 10900ms), kBegin + 10901ms), Next::over);
}

TEST(PollsTest, PatienceCountsOnlyWhileNoServerAnswers) {
  Polls polls(kBegin, {.wait = kForEver, .poll = 50s, .patience = 10s});
  EXPECT_EQ(polls.unanswered(refused_connection(50s, kBegin), kBegin), Next::after_a_pause);
  EXPECT_EQ(polls.unanswered(refused_connection(1s, kBegin + 9s), kBegin + 9s), Next::after_a_pause);
  EXPECT_EQ(polls.refused(kBegin + 9s, kBegin + 10s), Next::at_once) << "the server is back";
  EXPECT_EQ(polls.next(kBegin + 10s), 50s);
  EXPECT_EQ(polls.unanswered(refused_connection(50s, kBegin + 11s), kBegin + 11s), Next::after_a_pause);
  EXPECT_EQ(polls.unanswered(refused_connection(1s, kBegin + 21s), kBegin + 21s), Next::over);
}

TEST(PollsTest, AServerThatIsToBeAskedLaterIsNotAway) {
  Polls polls(kBegin, {.wait = kForEver, .patience = 10s});
  for (auto now = kBegin; now < kBegin + 1h; now += 1s) {
    Polls::End later{.asked = 50s, .begun = now, .sent = now, .later = true};
    ASSERT_EQ(polls.unanswered(later, now), Next::after_a_pause);
  }
  Polls tries(kBegin, {.wait = 0s, .patience = 10s});
  Polls::End later{.asked = 0s, .begun = kBegin, .sent = kBegin, .later = true};
  EXPECT_EQ(tries.unanswered(later, kBegin + 1s), Next::after_a_pause);
  later.begun = kBegin + 9s;
  EXPECT_EQ(tries.unanswered(later, kBegin + 10s), Next::over) << "one that does not wait";
}

TEST(PollsTest, APollWithoutAnAnswerMayHaveWaited) {
  Polls polls(kBegin, {.wait = kForEver, .poll = 50s, .patience = 10s});
  Polls::End silent{.asked = 50s, .begun = kBegin, .sent = kBegin};
  EXPECT_EQ(polls.unanswered(silent, kBegin + 52s), Next::after_a_pause);
  EXPECT_EQ(polls.next(kBegin + 52s), 1s);
  silent = {.asked = 1s, .begun = kBegin + 59s, .sent = kBegin + 59s};
  EXPECT_EQ(polls.unanswered(silent, kBegin + 62s), Next::over);
}

TEST(PollsTest, AWaitForEverNeverTimesOut) {
  Polls polls(kBegin, {.wait = kForEver, .patience = kNeverGiveUp});
  EXPECT_EQ(polls.unanswered(refused_connection(50s, kBegin), kBegin), Next::after_a_pause);
  EXPECT_EQ(polls.unanswered(refused_connection(1s, kBegin), kBegin + 10000h), Next::after_a_pause);
}

TEST(PollsTest, AnEntryIsKeptOnlyForAClientThatComesBack) {
  Polls polls(kBegin, {.wait = 120s, .poll = 50s});
  EXPECT_GE(polls.place_kept(kBegin), 10s);
  EXPECT_EQ(polls.place_kept(kBegin + 70s), 2s) << "the last poll: should it be cut";
  EXPECT_EQ(polls.place_kept(kBegin + 120s), 0s);
  EXPECT_EQ(Polls(kBegin, {.wait = 0s}).place_kept(kBegin), 0s);
  EXPECT_GE(Polls(kBegin, {.wait = kForEver}).place_kept(kBegin), 10s);
}

}  // namespace
}  // namespace sharedlock::client
