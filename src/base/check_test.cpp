#include "base/check.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstddef>

namespace sharedlock {
namespace {

TEST(CheckDeathTest, ABrokenInvariantEndsTheProcessAndSaysWhich) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(check_invariant(false, "two and two are five"), testing::KilledBySignal(SIGABRT),
              "shared-lock: two and two are five\n");
}

TEST(Check, WhatHoldsIsLeftAlone) {
  check_invariant(true, "two and two are four");
}

TEST(CheckPace, AStructureThatGrowsIsNotCheckedMoreThanTwiceForEachChange) {
  constexpr std::size_t kChanges = 10'000;
  CheckPace pace;
  std::size_t looked_at = 0;
  for (std::size_t elements = 1; elements <= kChanges; ++elements) {
    if (pace.due([&] { return elements; })) looked_at += elements;
  }
  EXPECT_EQ(looked_at > 0, kChecksInvariants);
  EXPECT_LE(looked_at, 2 * kChanges);
}

TEST(CheckPace, AnEmptyStructureIsCheckedEachTime) {
  CheckPace pace;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pace.due([] { return 0u; }), kChecksInvariants);
}

}  // namespace
}  // namespace sharedlock
