#include "http/memory_return.h"

#include <gtest/gtest.h>

namespace sharedlock::http {
namespace {

constexpr std::size_t kMb = std::size_t{1} << 20;

TEST(MemoryReturn, IsDueOnceAfterAPeak) {
  MemoryReturn memory;
  EXPECT_FALSE(memory.is_due(100 * kMb, 100 * kMb));
  EXPECT_FALSE(memory.is_due(60 * kMb, 100 * kMb));
  EXPECT_TRUE(memory.is_due(40 * kMb, 60 * kMb));
  EXPECT_FALSE(memory.is_due(40 * kMb, 40 * kMb));
  EXPECT_TRUE(memory.is_due(0, 40 * kMb));
  EXPECT_FALSE(memory.is_due(0, 0));
}

TEST(MemoryReturn, APeakBetweenTwoLooksCounts) {
  MemoryReturn memory;
  EXPECT_TRUE(memory.is_due(0, 100 * kMb));
}

TEST(MemoryReturn, ASmallPeakIsNotWorthIt) {
  MemoryReturn memory;
  EXPECT_FALSE(memory.is_due(0, 15 * kMb));
}

}  // namespace
}  // namespace sharedlock::http
