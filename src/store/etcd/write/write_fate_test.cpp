#include "store/etcd/write/write_fate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sharedlock {
namespace {

using Step = WriteTries::Next;
using Reply = WriteCall::Reply;

constexpr WriteCall kCarried{Reply::carried};
constexpr WriteCall kError{Reply::error};
constexpr WriteCall kNotSent{Reply::none};
constexpr WriteCall kNoAnswer{Reply::none, /*unanswered=*/true};
constexpr WriteCall kCarriedAtLast{Reply::carried, /*unanswered=*/true};
constexpr WriteCall kErrorAtLast{Reply::error, /*unanswered=*/true};

const std::vector<WriteCall> kCalls{kCarried, kError, kNotSent, kNoAnswer, kCarriedAtLast, kErrorAtLast};
const std::vector<WriteFate> kFates{WriteFate::not_sent, WriteFate::refused, WriteFate::done,
                                    WriteFate::unknown_may_still_happen, WriteFate::unknown_but_over};

WriteTries new_tries() {
  return WriteTries(WriteFate::not_sent);
}

TEST(WriteFateTest, ACallThatWasAnsweredIsKnown) {
  EXPECT_EQ(fate_of(kCarried), WriteFate::done);
  EXPECT_EQ(fate_of(kError), WriteFate::refused);
  EXPECT_EQ(fate_of(kNotSent), WriteFate::not_sent);
}

TEST(WriteFateTest, SafetyR06_ACallWithAnUnansweredAttemptMayStillHappenWhateverItsLastAttemptSays) {
  for (WriteCall call : {kNoAnswer, kCarriedAtLast, kErrorAtLast}) {
    EXPECT_EQ(fate_of(call), WriteFate::unknown_may_still_happen);
  }
}

TEST(WriteFateTest, SafetyR06_OneTryThatMayStillHappenOutweighsAllOthers) {
  for (WriteFate other : kFates) {
    EXPECT_EQ(both(other, WriteFate::unknown_may_still_happen), WriteFate::unknown_may_still_happen);
    EXPECT_EQ(both(WriteFate::unknown_may_still_happen, other), WriteFate::unknown_may_still_happen);
  }
}

TEST(WriteFateTest, ATryThatIsOverLeavesTheRestUnknown) {
  for (WriteFate known : {WriteFate::not_sent, WriteFate::refused, WriteFate::done, WriteFate::unknown_but_over}) {
    EXPECT_EQ(both(known, WriteFate::unknown_but_over), WriteFate::unknown_but_over);
    EXPECT_EQ(both(WriteFate::unknown_but_over, known), WriteFate::unknown_but_over);
  }
}

TEST(WriteFateTest, SafetyR06_WhatNobodyHasEndedMayStillHappen) {
  EXPECT_EQ(perhaps_not_over(WriteFate::unknown_but_over), WriteFate::unknown_may_still_happen);
  EXPECT_EQ(perhaps_not_over(WriteFate::unknown_may_still_happen), WriteFate::unknown_may_still_happen);
  EXPECT_EQ(perhaps_not_over(WriteFate::done), WriteFate::done);
}

TEST(WriteFateTest, SafetyR06_OnlyWhatIsOverIsToldAsUnanswered) {
  for (Errc code : {Errc::unavailable, Errc::deadline_exceeded, Errc::unanswered, Errc::lease_not_found}) {
    Error error{code, "why"};
    EXPECT_EQ(with_fate(error, WriteFate::unknown_may_still_happen).code, Errc::unavailable);
    EXPECT_EQ(with_fate(error, WriteFate::unknown_but_over).code, Errc::unanswered);
    EXPECT_EQ(with_fate(error, WriteFate::unknown_but_over).message, "why");
  }
}

TEST(WriteFateTest, OfWhatWasNotDoneTheErrorStaysUnlessItLeavesThatOpen) {
  for (WriteFate fate : {WriteFate::not_sent, WriteFate::refused}) {
    EXPECT_EQ(with_fate({Errc::lease_not_found, ""}, fate).code, Errc::lease_not_found);
    EXPECT_EQ(with_fate({Errc::invalid_argument, ""}, fate).code, Errc::invalid_argument);
    EXPECT_EQ(with_fate({Errc::deadline_exceeded, ""}, fate).code, Errc::unanswered);
  }
}

TEST(WriteTriesTest, ABatchThatIsCarriedOutIsTold) {
  WriteTries tries = new_tries();
  EXPECT_EQ(tries.called(kCarried, /*epoch_was_over=*/false), Step::tell);
  EXPECT_EQ(tries.fate(), WriteFate::done);
  EXPECT_EQ(tries.after_batch(/*lacks_space=*/true), Step::tell);
  EXPECT_EQ(tries.after_one(/*lacks_space=*/true, /*repeatable=*/true), Step::tell);
}

TEST(WriteTriesTest, AnEpochThatWasOverIsFollowedByTheNext) {
  WriteTries tries = new_tries();
  EXPECT_EQ(tries.called(kCarried, /*epoch_was_over=*/true), Step::next_epoch);
  EXPECT_EQ(tries.fate(), WriteFate::refused);
  EXPECT_EQ(tries.called(kCarried, /*epoch_was_over=*/false), Step::tell);
  EXPECT_EQ(tries.fate(), WriteFate::done);
}

TEST(WriteTriesTest, SafetyR06_WhatHadNoAnswerIsOverOnceItsEpochIs) {
  WriteTries tries = new_tries();
  EXPECT_EQ(tries.called(kNoAnswer, /*epoch_was_over=*/false), Step::end_epoch);
  EXPECT_EQ(tries.fate(), WriteFate::unknown_may_still_happen);
  tries.epoch_ended(false);
  EXPECT_EQ(tries.fate(), WriteFate::unknown_may_still_happen);
  tries.epoch_ended(true);
  EXPECT_EQ(tries.fate(), WriteFate::unknown_but_over);
}

TEST(WriteTriesTest, SafetyR06_AnAnswerFromALaterEpochDoesNotTellOfTheEarlierOne) {
  WriteTries tries = new_tries();
  EXPECT_EQ(tries.called(kCarriedAtLast, /*epoch_was_over=*/true), Step::next_epoch);
  EXPECT_EQ(tries.fate(), WriteFate::unknown_but_over);
  EXPECT_EQ(tries.called(kCarried, /*epoch_was_over=*/false), Step::tell);
  EXPECT_EQ(tries.fate(), WriteFate::unknown_but_over);
}

TEST(WriteTriesTest, SafetyR06_TheEndOfOneEpochDoesNotEndWhatWasSentBefore) {
  WriteTries tries(WriteFate::unknown_may_still_happen);
  EXPECT_EQ(tries.called(kNoAnswer, /*epoch_was_over=*/false), Step::end_epoch);
  tries.epoch_ended(true);
  EXPECT_EQ(tries.fate(), WriteFate::unknown_may_still_happen);
}

TEST(WriteTriesTest, SafetyR32_WhereEtcdForgetsWhatWasDoneMayStillHappen) {
  WriteTries tries = new_tries();
  tries.called(kCarried, /*epoch_was_over=*/false);
  tries.disbelieve();
  EXPECT_EQ(tries.fate(), WriteFate::unknown_may_still_happen);

  WriteTries over = new_tries();
  over.called(kCarriedAtLast, /*epoch_was_over=*/true);
  over.disbelieve();
  EXPECT_EQ(over.fate(), WriteFate::unknown_may_still_happen) << "the end of its epoch is not believed either";
}

TEST(WriteTriesTest, WhereEtcdForgetsWhatWasNotDoneStaysSo) {
  for (WriteCall call : {kNotSent, kError}) {
    WriteTries tries = new_tries();
    tries.called(call, /*epoch_was_over=*/false);
    tries.disbelieve();
    EXPECT_FALSE(is_unknown(tries.fate()));
  }
  WriteTries over = new_tries();
  over.called(kCarried, /*epoch_was_over=*/true);
  over.disbelieve();
  EXPECT_FALSE(is_unknown(over.fate()));
}

TEST(WriteTriesTest, SafetyR17_AnErrorOfEtcdsOwnSendsEachAlone) {
  for (WriteCall call : {kError, kErrorAtLast}) {
    WriteTries tries = new_tries();
    tries.called(call, /*epoch_was_over=*/false);
    tries.epoch_ended(true);
    EXPECT_EQ(tries.after_batch(/*lacks_space=*/false), Step::each_alone);
    EXPECT_EQ(tries.after_one(/*lacks_space=*/true, /*repeatable=*/true), Step::tell) << "it is its own answer";
  }
}

TEST(WriteTriesTest, WithoutAnAnswerABatchIsToldUnlessSpaceIsLacking) {
  for (WriteCall call : {kNotSent, kNoAnswer}) {
    WriteTries tries = new_tries();
    tries.called(call, /*epoch_was_over=*/false);
    EXPECT_EQ(tries.after_batch(/*lacks_space=*/false), Step::tell);
    EXPECT_EQ(tries.after_batch(/*lacks_space=*/true), Step::each_alone);
  }
}

TEST(WriteTriesTest, SafetyR18_WithoutSpaceOneIsSentWithoutAnEpoch) {
  WriteTries no_epoch = new_tries();
  EXPECT_EQ(no_epoch.after_one(/*lacks_space=*/true, /*repeatable=*/false), Step::without_epoch);
  EXPECT_EQ(no_epoch.after_one(/*lacks_space=*/false, /*repeatable=*/true), Step::tell);
  no_epoch.called(kCarried, /*epoch_was_over=*/true);
  EXPECT_EQ(no_epoch.after_one(/*lacks_space=*/true, /*repeatable=*/false), Step::without_epoch);
}

TEST(WriteTriesTest, WhatMayHaveBeenDoneIsSentAgainOnlyIfThatDoesNothingTwice) {
  WriteTries tries = new_tries();
  tries.called(kNoAnswer, /*epoch_was_over=*/false);
  tries.epoch_ended(true);
  EXPECT_EQ(tries.after_one(/*lacks_space=*/true, /*repeatable=*/true), Step::without_epoch);
  EXPECT_EQ(tries.after_one(/*lacks_space=*/true, /*repeatable=*/false), Step::tell);
}

// Every order of up to four calls, against the rule itself: what had no answer may still happen until its own epoch has
// ended, and nothing that had no answer is ever known.
class EveryOrderOfCalls : public testing::Test {
 protected:
  struct Truth {
    bool may_still_happen = false;
    bool is_unknown = false;
  };

  void go_on(const WriteTries& so_far, Truth truth, int calls_left) {
    ++states_;
    EXPECT_EQ(so_far.fate() == WriteFate::unknown_may_still_happen, truth.may_still_happen);
    EXPECT_EQ(is_unknown(so_far.fate()), truth.is_unknown);
    if (calls_left == 0) return;
    for (WriteCall call : kCalls) {
      Truth after{truth.may_still_happen, truth.is_unknown || call.unanswered};
      if (call.reply == Reply::carried) {
        WriteTries over = so_far;
        EXPECT_EQ(over.called(call, /*epoch_was_over=*/true), Step::next_epoch);
        go_on(over, after, calls_left - 1);
      }
      for (bool ended : {true, false}) {
        WriteTries tries = so_far;
        Step next = tries.called(call, /*epoch_was_over=*/false);
        EXPECT_EQ(next, call.unanswered ? Step::end_epoch : Step::tell);
        if (next == Step::end_epoch) tries.epoch_ended(ended);
        bool left = truth.may_still_happen || (call.unanswered && !ended);
        go_on(tries, {left, after.is_unknown}, calls_left - 1);
      }
    }
  }

  int states_ = 0;
};

TEST_F(EveryOrderOfCalls, SafetyR06_NothingIsOverBeforeItsEpochHasEnded) {
  for (WriteFate before : kFates) {
    Truth truth{before == WriteFate::unknown_may_still_happen, is_unknown(before)};
    go_on(WriteTries(before), truth, /*calls_left=*/4);
  }
  EXPECT_GT(states_, 10'000);
}

}  // namespace
}  // namespace sharedlock
