#include "base/lossy_map.h"

#include <gtest/gtest.h>

namespace sharedlock {
namespace {

TEST(LossyMap, FindsWhatWasPutUntilItIsForgotten) {
  LossyMap<std::string, int, 16> map;
  EXPECT_EQ(map.find("a"), std::nullopt);
  map.put("a", 1);
  EXPECT_EQ(map.find("a"), 1);
  map.put("a", 2);
  EXPECT_EQ(map.find("a"), 2);
  map.forget("b");
  EXPECT_EQ(map.find("a"), 2);
  map.forget("a");
  EXPECT_EQ(map.find("a"), std::nullopt);
}

TEST(LossyMap, CollidingKeysReplaceEachOtherAndNeverAnswerForEachOther) {
  LossyMap<int, int, 1> map;
  map.put(1, 10);
  EXPECT_EQ(map.find(2), std::nullopt);
  map.forget(2);
  EXPECT_EQ(map.find(1), 10);
  map.put(2, 20);
  EXPECT_EQ(map.find(1), std::nullopt);
  EXPECT_EQ(map.find(2), 20);
}

}  // namespace
}  // namespace sharedlock
