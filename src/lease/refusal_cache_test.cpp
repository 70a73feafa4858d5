#include "lease/refusal_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sharedlock {
namespace {

using ::testing::Optional;

constexpr LeaseId kHolder{7}, kOther{8};
constexpr Revision kBegin{100};

class RefusalCacheTest : public ::testing::Test {
 protected:
  RefusalCacheTest() { cache.on_event(Snapshot{kBegin, {}}); }

  void gone(const std::string& key, Revision revision) {
    Change change{.key = key, .now = std::nullopt, .previous = Entry{}};
    cache.on_event(ChangeBatch{revision, {change}});
  }
  void put(const std::string& key, LeaseId lease, Revision revision) {
    Change change{.key = key, .now = Entry{.value = "", .lease = lease}, .previous = std::nullopt};
    cache.on_event(ChangeBatch{revision, {change}});
  }

  RefusalCache cache{3};
};

TEST_F(RefusalCacheTest, RemembersTheHolderOfAKey) {
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cache.fill("a", kHolder, kBegin);
  EXPECT_THAT(cache.find("a"), Optional(kHolder));
  cache.fill("a", kOther, kBegin);
  EXPECT_THAT(cache.find("a"), Optional(kOther));
}

TEST_F(RefusalCacheTest, SafetyR29_AKeyThatIsFreeLeavesAtOnce) {
  cache.fill("a", kHolder, kBegin);
  gone("a", Revision{101});
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cache.fill("a", kHolder, Revision{101});
  cache.drop("a");
  EXPECT_EQ(cache.find("a"), std::nullopt);
}

TEST_F(RefusalCacheTest, SafetyR29_ALateFillIsIgnored) {
  gone("a", Revision{105});
  cache.fill("a", kHolder, Revision{104});
  EXPECT_EQ(cache.find("a"), std::nullopt) << "no event would ever come for it";
  cache.fill("a", kHolder, Revision{105});
  EXPECT_THAT(cache.find("a"), Optional(kHolder));
}

TEST_F(RefusalCacheTest, SafetyR29_ItIsOffWhileTheWatchIsNotLive) {
  cache.fill("a", kHolder, kBegin);
  cache.on_event(Liveness{false});
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cache.fill("a", kHolder, Revision{200});
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cache.on_event(Liveness{true});
  cache.fill("a", kHolder, Revision{200});
  EXPECT_THAT(cache.find("a"), Optional(kHolder));
}

TEST_F(RefusalCacheTest, SafetyR29_ItIsOffBeforeTheWatchHasBegunAndEmptyAfterASnapshot) {
  RefusalCache early(3);
  early.fill("a", kHolder, kBegin);
  EXPECT_EQ(early.find("a"), std::nullopt);
  cache.fill("a", kHolder, kBegin);
  cache.on_event(Snapshot{Revision{300}, {}});
  EXPECT_EQ(cache.find("a"), std::nullopt);
}

TEST_F(RefusalCacheTest, AKeyThatIsTakenAnewHasItsNewHolder) {
  cache.fill("a", kHolder, kBegin);
  put("a", kOther, Revision{101});
  put("b", kOther, Revision{102});
  EXPECT_THAT(cache.find("a"), Optional(kOther));
  EXPECT_EQ(cache.find("b"), std::nullopt) << "nobody was refused it";
}

// A shared lease belongs to no single holder: the entries of many holders are under it.
TEST_F(RefusalCacheTest, SafetyR33_ASharedLeaseIsNeverShown) {
  cache.fill("a", kHolder, kBegin);
  put("a", LeaseId{(std::int64_t{0x53484C} << 39) | 1}, Revision{101});
  EXPECT_THAT(cache.find("a"), Optional(kNotShown)) << "it is refused all the same";
}

TEST_F(RefusalCacheTest, TheLeastRecentlyUsedMakesRoom) {
  for (auto key : {"a", "b", "c"}) cache.fill(key, kHolder, kBegin);
  EXPECT_TRUE(cache.find("a"));
  cache.fill("d", kHolder, kBegin);
  EXPECT_FALSE(cache.find("b"));
  for (auto key : {"a", "c", "d"}) EXPECT_TRUE(cache.find(key)) << key;
}

TEST_F(RefusalCacheTest, CountsWhatItDoes) {
  for (auto key : {"a", "b", "c", "d", "d"}) cache.fill(key, kHolder, kBegin);
  cache.find("d");
  cache.find("a");
  gone("d", Revision{101});
  RefusalCacheCounts counts = cache.counts();
  EXPECT_EQ(counts.filled, 4u);
  EXPECT_EQ(counts.updated, 1u);
  EXPECT_EQ(counts.evicted, 1u);
  EXPECT_EQ(counts.hits, 1u);
  EXPECT_EQ(counts.misses, 1u);
  EXPECT_EQ(counts.ended, 1u);
}

}  // namespace
}  // namespace sharedlock
