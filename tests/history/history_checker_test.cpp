// The checker against small histories: some as they should be, and one for each thing that must never happen.
#include "history/history_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "history/story.h"

namespace sharedlock::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = Operation::Kind;
using Answer = Operation::Answer;

auto says(std::string_view text) {
  return ElementsAre(HasSubstr(std::string(text)));
}

TEST(HistoryChecker, AHistoryAsItShouldBeHasNoViolations) {
  Story story;
  story.acquire(kAnna, 10).refused(Kind::acquire, kBert).renew(kAnna, 10).grant("key", 11, 77);
  story.crash().look_finds(10).keep_alive("key", 77, Answer::done).renew(kAnna, 10);
  story.acquire(kAnna, 20).release(kAnna).look_finds_nobody().crash().look_finds_nobody();
  story.acquire(kBert, 30).refused(Kind::acquire, kAnna).release(kBert).acquire(kAnna, 31);
  EXPECT_THAT(story.violations(), IsEmpty());
}

TEST(HistoryChecker, ARequestWithoutAnAnswerMayHaveHappenedOrNot) {
  EXPECT_THAT(Story().unanswered(Kind::acquire, kAnna).crash().look_finds_nobody().violations(), IsEmpty());
  EXPECT_THAT(Story().unanswered(Kind::acquire, kAnna).crash().look_finds(10).renew(kAnna, 10).violations(), IsEmpty());
  Story story;
  story.unanswered(Kind::acquire, kAnna).refused(Kind::acquire, kBert).crash().refused(Kind::acquire, kBert);
  EXPECT_THAT(story.look_finds(10).violations(), IsEmpty());
  for (Kind kind : {Kind::release, Kind::acquire}) {
    Story gone;
    gone.acquire(kAnna, 10).unanswered(kind, kAnna).crash().look_finds_nobody();
    EXPECT_THAT(gone.violations(), IsEmpty());
    Story there;
    there.acquire(kAnna, 10).unanswered(kind, kAnna).crash().look_finds(10).renew(kAnna, 10);
    EXPECT_THAT(there.violations(), IsEmpty());
  }
}

TEST(HistoryChecker, AtTheSameTimeBothOrdersAreAllowed) {
  EXPECT_THAT(Story().acquire(kAnna, 10).look_finds_nobody().meanwhile().violations(), IsEmpty());
  EXPECT_THAT(Story().look_finds(10).acquire(kAnna, 10).meanwhile().violations(), IsEmpty());
  EXPECT_THAT(Story().acquire(kAnna, 10).release(kAnna).acquire(kBert, 11).meanwhile().violations(), IsEmpty());
}

TEST(HistoryChecker, AfterItsTtlAHoldingMayEnd) {
  std::chrono::seconds ttl{30};
  Story story;
  story.acquire(kAnna, 10, ttl).grant("key", 11, 77, ttl).pass(ttl).look_finds_nobody();
  EXPECT_THAT(story.keep_alive("key", 77, Answer::absent).acquire(kBert, 12).violations(), IsEmpty());
}

TEST(HistoryChecker, FindsALostLock) {
  EXPECT_THAT(Story().acquire(kAnna, 10).crash().look_finds_nobody().violations(), says("it was lost"));
}

TEST(HistoryChecker, FindsALockThatItsHolderCantUse) {
  for (Kind kind : {Kind::renew, Kind::release, Kind::acquire}) {
    auto story = Story().acquire(kAnna, 10).crash().refused(kind, kAnna);
    EXPECT_THAT(story.violations(), says("its own holder is refused"));
  }
}

TEST(HistoryChecker, FindsALostRenewal) {
  std::chrono::seconds ttl{30};
  auto renewed = Story().acquire(kAnna, 10, ttl).pass(ttl / 2).renew(kAnna, 10, ttl).pass(ttl / 2).look_finds_nobody();
  EXPECT_THAT(renewed.violations(), says("it was lost"));
  Story kept;
  kept.grant("key", 10, 77, ttl).pass(ttl / 2).keep_alive("key", 77, Answer::done, ttl).pass(ttl / 2);
  EXPECT_THAT(kept.keep_alive("key", 77, Answer::absent).violations(), says("gone before its time"));
}

TEST(HistoryChecker, FindsALostLease) {
  auto story = Story().grant("key", 10, 77).crash().keep_alive("key", 77, Answer::absent);
  EXPECT_THAT(story.violations(), says("its lease is gone before its time"));
}

TEST(HistoryChecker, FindsATokenGivenTwice) {
  auto elsewhere = Story().grant("key", 10, 77).grant("other", 10, 78).meanwhile();
  EXPECT_THAT(elsewhere.violations(), testing::IsEmpty()) << "a batch has one revision";
  auto same = Story().acquire(kAnna, 10).release(kAnna).crash().acquire(kBert, 10);
  EXPECT_THAT(same.violations(), testing::Contains(HasSubstr("is given twice")));
}

TEST(HistoryChecker, FindsATokenThatWasSeenBeforeItsGrant) {
  auto story = Story().unanswered(Kind::acquire, kAnna).look_finds(10).crash().acquire(kBert, 10);
  EXPECT_THAT(story.violations(), says("which was seen before it"));
}

TEST(HistoryChecker, FindsALeaseIdGivenTwice) {
  auto story = Story().grant("key", 10, 77).crash().grant("other", 11, 77);
  EXPECT_THAT(story.violations(), says("a lease id of other is given twice"));
}

TEST(HistoryChecker, FindsTokensThatFall) {
  auto story = Story().acquire(kAnna, 10).release(kAnna).crash().acquire(kBert, 9);
  EXPECT_THAT(story.violations(), testing::Contains(HasSubstr("token 9 is held again after a newer one was seen")));
}

TEST(HistoryChecker, FindsAReleaseThatWasUndone) {
  auto seen = Story().acquire(kAnna, 10).release(kAnna).crash().look_finds(10);
  EXPECT_THAT(seen.violations(), says("token 10 is held again after its end"));
  auto renewed = Story().acquire(kAnna, 10).release(kAnna).crash().renew(kAnna, 10);
  EXPECT_THAT(renewed.violations(), says("token 10 is held again after its end"));
}

TEST(HistoryChecker, FindsAnEndByTtlThatWasUndone) {
  std::chrono::seconds ttl{30};
  auto lock = Story().acquire(kAnna, 10, ttl).pass(ttl).look_finds_nobody().crash().look_finds(10);
  EXPECT_THAT(lock.violations(), says("token 10 is held again after its end"));
  auto refusal = Story().acquire(kAnna, 10, ttl).pass(ttl).look_finds_nobody().crash().refused(Kind::acquire, kBert);
  EXPECT_THAT(refusal.violations(), says("an end was undone"));
  Story lease;
  lease.grant("key", 10, 77, ttl).pass(ttl).keep_alive("key", 77, Answer::absent).crash();
  lease.keep_alive("key", 77, Answer::done);
  auto again = testing::Contains(HasSubstr("token 10 is held again after its end"));
  EXPECT_THAT(lease.violations(), again);
  EXPECT_THAT(lease.violations(LostKeepAlive::is_doubtful), testing::Not(again));
}

// R8: the server that granted or renewed it knows better.
TEST(HistoryChecker, FindsALeaseThatIsCalledLostBeforeItsTtl) {
  auto doubtful = LostKeepAlive::is_doubtful;
  std::chrono::seconds ttl{30};
  auto lost = says("called lost before its ttl");
  auto granted = Story().grant("key", 10, 77, ttl);
  EXPECT_THAT(Story(granted).keep_alive("key", 77, Answer::absent, ttl, kAnna).violations(doubtful), lost);
  EXPECT_THAT(Story(granted).keep_alive("key", 77, Answer::absent, ttl, kBert).violations(doubtful), lost);
  EXPECT_THAT(Story(granted).pass(ttl).keep_alive("key", 77, Answer::absent, ttl, kAnna).violations(doubtful),
              IsEmpty());
  auto renewed = granted.pass(ttl / 2).keep_alive("key", 77, Answer::done, ttl, kAnna).pass(ttl * 2 / 3);
  EXPECT_THAT(renewed.keep_alive("key", 77, Answer::absent, ttl, kAnna).violations(doubtful), lost);
}

TEST(HistoryChecker, AnotherServerMayNotKnowALease) {
  auto doubtful = LostKeepAlive::is_doubtful;
  auto granted = Story().grant("key", 10, 77);
  auto elsewhere = Story(granted).keep_alive("key", 77, Answer::absent).at_server(1);
  EXPECT_THAT(elsewhere.violations(doubtful), IsEmpty());
  EXPECT_THAT(Story(granted).crash().keep_alive("key", 77, Answer::absent).violations(doubtful), IsEmpty());
  auto known = Story(granted).keep_alive("key", 77, Answer::done).at_server(1);
  EXPECT_THAT(Story(known).keep_alive("key", 77, Answer::absent).at_server(1).violations(doubtful),
              says("called lost before its ttl"));
  auto at_once = Story(known).keep_alive("key", 77, Answer::absent).at_server(1).meanwhile();
  EXPECT_THAT(at_once.violations(doubtful), IsEmpty());
}

TEST(HistoryChecker, FindsARefusalOfAFreeLock) {
  auto released = Story().acquire(kAnna, 10).release(kAnna).crash().refused(Kind::acquire, kBert);
  EXPECT_THAT(released.violations(), says("an end was undone"));
  Story looked;
  looked.unanswered(Kind::acquire, kAnna).crash().look_finds_nobody().refused(Kind::acquire, kBert);
  EXPECT_THAT(looked.violations(), says("an end was undone"));
}

TEST(HistoryChecker, AQueuedRequestRefusesOthers) {
  auto free = Story().acquire(kAnna, 10).release(kAnna);
  auto nobody_waited = Story(free).refused(Kind::acquire, kBert).acquire(kAnna, 11).who_would_wait();
  EXPECT_THAT(nobody_waited.violations(), says("an end was undone"));
  auto waited = Story(free).unanswered(Kind::acquire, kAnna).who_would_wait().crash().look_finds_nobody();
  EXPECT_THAT(Story(waited).refused(Kind::acquire, kBert).violations(), IsEmpty()) << "its place may stand yet";
  EXPECT_THAT(Story(waited).look_finds(10).violations(), Not(IsEmpty())) << "all else is judged";
}

TEST(HistoryChecker, ARequestThatHasWaitedHolds) {
  auto waited = Story().acquire(kAnna, 10).who_would_wait();
  EXPECT_THAT(Story(waited).acquire(kBert, 11).violations(), says("two holders"));
  EXPECT_THAT(Story(waited).look_finds_nobody().violations(), says("it was lost"));
  EXPECT_THAT(Story(waited).release(kAnna).acquire(kBert, 11).who_would_wait().violations(), IsEmpty());
}

TEST(HistoryChecker, ALeaseThatIsGivenBackIsOver) {
  auto granted = Story().grant("key", 10, 77);
  EXPECT_THAT(Story(granted).give_back("key", 77).grant("key", 11, 78).violations(), IsEmpty());
  auto kept = Story(granted).give_back("key", 77).keep_alive("key", 77, Answer::done);
  EXPECT_THAT(kept.violations(), says("token 10 is held again after its end"));
  auto refused = Story(granted).give_back("key", 77).refused(Kind::grant, kBert).about("key");
  EXPECT_THAT(refused.violations(), says("an end was undone"));
  auto gone = Story(granted).give_back("key", 78, Answer::absent).keep_alive("key", 77, Answer::done);
  EXPECT_THAT(gone.violations(), IsEmpty()) << "it was another lease of the key";
  auto lost = Story(granted).give_back("key", 77, Answer::absent);
  EXPECT_THAT(lost.violations(), says("its lease is gone before its time"));
  auto other = Story(granted).give_back("other", 78).grant("key", 11, 79);
  EXPECT_THAT(other.violations(), says("two holders"));
}

TEST(HistoryChecker, ALeaseThatIsPerhapsGivenBackMayBeOver) {
  auto open = Story().grant("key", 10, 77).give_back("key", 77, Answer::none);
  EXPECT_THAT(Story(open).grant("key", 11, 78).violations(), IsEmpty());
  EXPECT_THAT(Story(open).keep_alive("key", 77, Answer::done).violations(), IsEmpty());
  EXPECT_THAT(Story(open).refused(Kind::grant, kBert).about("key").violations(), IsEmpty());
}

TEST(HistoryChecker, FindsTwoHolders) {
  EXPECT_THAT(Story().acquire(kAnna, 10).acquire(kBert, 11).violations(), says("two holders"));
  EXPECT_THAT(Story().acquire(kAnna, 10).crash().acquire(kBert, 11).violations(), says("two holders"));
  EXPECT_THAT(Story().grant("key", 10, 77).grant("key", 11, 78).violations(), says("two holders"));
  EXPECT_THAT(Story().acquire(kAnna, 10).unanswered(Kind::acquire, kBert).look_finds(11).violations(),
              says("two holders"));
}

TEST(HistoryChecker, FindsAHolderThatCameTooEarly) {
  std::chrono::seconds ttl{30};
  auto story = Story().acquire(kAnna, 10, ttl).crash().pass(ttl - std::chrono::seconds(5)).acquire(kBert, 11);
  EXPECT_THAT(story.violations(), says("two holders"));
}

TEST(HistoryChecker, FindsARenewalWithAnotherToken) {
  EXPECT_THAT(Story().acquire(kAnna, 10).renew(kAnna, 11).violations(), says("two holders"));
}

TEST(HistoryChecker, FindsAHolderThatWasReplaced) {
  auto story = Story().acquire(kAnna, 10).unanswered(Kind::release, kAnna).acquire(kBert, 11).look_finds(10);
  EXPECT_THAT(story.violations(), says("token 10 is held again after a newer one was seen"));
}

TEST(HistoryChecker, FindsAnotherOwner) {
  auto story = Story().acquire(kAnna, 10).look_finds(10, "anonymous").crash().look_finds(10, "somebody");
  EXPECT_THAT(story.violations(), says("changed its owner"));
}

TEST(HistoryChecker, ATryMayHappenForAsLongAsItsServersRequestsMay) {
  std::chrono::seconds late{10};
  auto open = Story().unanswered(Kind::acquire, kAnna).crash(late).look_finds_nobody();
  EXPECT_THAT(Story(open).refused(Kind::acquire, kBert).violations(), IsEmpty());
  EXPECT_THAT(Story(open).look_finds(10).violations(), IsEmpty());
  auto later = open.pass(late).look_finds_nobody().refused(Kind::acquire, kBert);
  EXPECT_THAT(later.violations(), says("an end was undone"));
}

TEST(HistoryChecker, FindsTwoHoldersThoughOneWasAnsweredLate) {
  std::chrono::seconds ttl{30};
  auto late = Story().acquire(kAnna, 10, ttl).acquire(kBert, 11).answered_late(2 * ttl);
  EXPECT_THAT(late.violations(), IsEmpty()) << "it may have begun late";
  EXPECT_THAT(Story(late).grant("key", 12, 77).violations(), says("two holders"));
  EXPECT_THAT(Story(late).pass(ttl).grant("key", 12, 77).violations(), IsEmpty());
}

TEST(HistoryChecker, FindsAGrantThatALateAnswerHid) {
  std::chrono::seconds late{30};
  auto story = Story().acquire(kAnna, 10).answered_late(late);
  EXPECT_THAT(Story(story).look_finds_nobody().violations(), IsEmpty());
  EXPECT_THAT(Story(story).grant("key", 11, 77).look_finds_nobody().violations(), says("it was lost"));
}

TEST(HistoryChecker, FindsATokenThatFallsAcrossResources) {
  auto story = Story().acquire(kAnna, 10).grant("key", 9, 77);
  EXPECT_THAT(story.violations(), says("key: a grant has token 9, which was seen before it"));
}

// A server that has no answer from its store tries again, with a higher token.
TEST(HistoryChecker, ATryMayHoldItBeforeItsTokenWasGiven) {
  std::chrono::seconds late{30};
  auto story = Story().acquire(kAnna, 11).answered_late(late).refused(Kind::acquire, kBert).grant("key", 10, 77);
  EXPECT_THAT(story.violations(), IsEmpty());
}

TEST(HistoryChecker, AClientBelievesNoMoreThanItsRenewalsPromise) {
  std::chrono::seconds ttl{30};
  auto open = Story().acquire(kAnna, 10).unanswered(Kind::renew, kAnna, ttl);
  EXPECT_THAT(Story(open).acquire(kBert, 11).violations(), says("two holders"));
  EXPECT_THAT(Story(open).pass(ttl).acquire(kBert, 11).violations(), IsEmpty());
  auto shorter = Story().acquire(kAnna, 10).renew(kAnna, 10, ttl);
  EXPECT_THAT(Story(shorter).acquire(kBert, 11).violations(), says("two holders"));
  EXPECT_THAT(Story(shorter).pass(ttl).acquire(kBert, 11).violations(), IsEmpty());
}

TEST(HistoryChecker, AnOpenTryOfTheHolderMayRenewItsToken) {
  auto open = Story().unanswered(Kind::acquire, kAnna).acquire(kAnna, 10);
  EXPECT_THAT(Story(open).look_finds(11).violations(), IsEmpty());
  EXPECT_THAT(Story(open).renew(kAnna, 11).violations(), IsEmpty());
  EXPECT_THAT(Story(open).acquire(kBert, 11).violations(), says("two holders"));
  EXPECT_THAT(Story(open).look_finds_nobody().violations(), says("it was lost"));
}

TEST(HistoryChecker, InstancesOfAClientAreDifferentHolders) {
  auto story = Story().acquire(kAnna, 10).acquire(kAnna, 11).as_instance(1);
  EXPECT_THAT(story.violations(), says("two holders"));
  auto refused = Story().acquire(kAnna, 10).refused(Kind::acquire, kAnna).as_instance(1);
  EXPECT_THAT(refused.violations(), IsEmpty());
}

// By the clock of another server a lock may be past its expiry before it ends; then only a renewal is refused.
TEST(HistoryChecker, ARenewalMayBeTooLateByAnotherClock) {
  std::chrono::seconds skew{3};
  std::chrono::seconds ttl{30};
  auto near_its_end = Story().clocks_differ_by(skew).acquire(kAnna, 10, ttl).pass(ttl - skew - skew / 3);
  EXPECT_THAT(Story(near_its_end).refused(Kind::renew, kAnna).violations(), IsEmpty());
  EXPECT_THAT(Story(near_its_end).refused(Kind::release, kAnna).violations(), says("its own holder is refused"));
  auto before = Story().clocks_differ_by(skew).acquire(kAnna, 10, ttl).refused(Kind::renew, kAnna);
  EXPECT_THAT(before.violations(), says("its own holder is refused"));
}

TEST(HistoryChecker, WhatIsTooLateByOneClockMayBeRenewedByAnother) {
  std::chrono::seconds skew{3};
  std::chrono::seconds ttl{30};
  auto renewed = Story().clocks_differ_by(skew).acquire(kAnna, 10, ttl).pass(ttl / 2).renew(kAnna, 10, ttl);
  auto near_its_end = Story(renewed).pass(ttl - skew - skew / 3).refused(Kind::renew, kAnna);
  EXPECT_THAT(near_its_end.renew(kAnna, 10, ttl).pass(ttl / 2).renew(kAnna, 10, ttl).violations(), IsEmpty());
  auto before = Story(renewed).refused(Kind::renew, kAnna).renew(kAnna, 10, ttl);
  EXPECT_THAT(before.violations(), says("its own holder is refused"));
  auto another = Story(renewed).pass(ttl).acquire(kAnna, 11, ttl).refused(Kind::renew, kAnna);
  EXPECT_THAT(another.violations(), says("its own holder is refused")) << "the holding that was too late is over";
}

// However often it was kept alive, and whatever happened to etcd meanwhile (R33).
TEST(HistoryChecker, SafetyR33_ALeaseThatWasKeptAliveMayNotEndEarly) {
  std::chrono::seconds ttl{10};
  auto kept = Story().grant("key", 10, 77, ttl).pass(ttl / 2).keep_alive("key", 77, Answer::done, ttl, kAnna);
  auto judged = [](const Story& story) { return story.violations(LostKeepAlive::is_doubtful); };
  EXPECT_THAT(judged(Story(kept).pass(ttl / 2).grant("key", 11, 78)), says("two holders"));
  EXPECT_THAT(judged(Story(kept).pass(ttl / 2).keep_alive("key", 77, Answer::absent, ttl, kAnna)),
              says("called lost before its ttl"));
  EXPECT_THAT(judged(Story(kept).pass(2 * ttl).grant("key", 11, 78)), IsEmpty());
}

}  // namespace
}  // namespace sharedlock::test
