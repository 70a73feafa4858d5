#include "base/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <unordered_set>

namespace sharedlock {
namespace {

TEST(Random, NumbersDoNotRepeat) {
  std::unordered_set<std::uint64_t> seen;
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(seen.insert(random_bits()).second);
}

TEST(Random, EveryBitTakesBothValues) {
  std::uint64_t ever_set = 0;
  std::uint64_t ever_clear = 0;
  for (int i = 0; i < 1000; ++i) {  // a fair bit stays the same throughout once in 2^999 runs
    const auto bits = random_bits();
    ever_set |= bits;
    ever_clear |= ~bits;
  }
  EXPECT_EQ(ever_set, ~std::uint64_t{0});
  EXPECT_EQ(ever_clear, ~std::uint64_t{0});
}

TEST(Random, ThreadsDrawDifferentNumbers) {
  std::set<std::uint64_t> mine;
  std::set<std::uint64_t> theirs;
  std::thread other([&theirs] {
    for (int i = 0; i < 100; ++i) theirs.insert(random_bits());
  });
  for (int i = 0; i < 100; ++i) mine.insert(random_bits());
  other.join();
  for (const auto bits : mine) EXPECT_FALSE(theirs.contains(bits));
}

TEST(Random, UuidsAreRandomAndOfVersion4) {
  constexpr auto kVersion4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto uuid = random_uuid();
    ASSERT_THAT(uuid, ::testing::MatchesRegex(kVersion4));
    ASSERT_TRUE(seen.insert(uuid).second) << uuid;
  }
}

}  // namespace
}  // namespace sharedlock
