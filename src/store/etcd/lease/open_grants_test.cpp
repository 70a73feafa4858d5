#include "store/etcd/lease/open_grants.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/manual_clock.h"

namespace sharedlock {
namespace {

constexpr LeaseId kId{1234567};
constexpr LeaseId kOtherId{7654321};

// Grants that stay open must not cost a look at all of them for each new grant; those that are over are forgotten.
TEST(EtcdOpenGrants, AreLookedOverWhenTheyHaveDoubled) {
  constexpr std::int64_t kGrants = 8192;
  std::size_t asked = 0;
  bool ended = false;
  auto epochs_ended = [&] {
    ++asked;
    return ended;
  };
  ManualClock clock;
  EtcdOpenGrants grants(epochs_ended, [](BootTime) { return false; }, clock);
  for (std::int64_t i = 0; i < kGrants; ++i) grants.add(LeaseId{i}, std::make_shared<char>(), BootTime());
  EXPECT_EQ(grants.size(), static_cast<std::size_t>(kGrants));
  EXPECT_LT(asked, 4 * static_cast<std::size_t>(kGrants));
  EXPECT_FALSE(grants.is_over(LeaseId{0}));
  ended = true;
  for (std::int64_t i = 0; i < 2 * kGrants; ++i) grants.add(LeaseId{i}, std::make_shared<char>(), BootTime());
  EXPECT_LE(grants.size(), static_cast<std::size_t>(kGrants));
  EXPECT_TRUE(grants.is_over(LeaseId{0}));
}

TEST(EtcdOpenGrants, SafetyR06_AnIdIsOverWhenAllItsTriesAre) {
  ManualClock clock;
  EtcdOpenGrants grants([] { return true; }, [](BootTime) { return false; }, clock);
  auto first = std::make_shared<char>();
  auto second = std::make_shared<char>();
  grants.add(kId, first, BootTime());
  grants.add(kId, second, BootTime());
  first.reset();
  EXPECT_FALSE(grants.is_over(kId));
  EXPECT_TRUE(grants.is_over(kOtherId));
  second.reset();
  EXPECT_TRUE(grants.is_over(kId));
  EXPECT_EQ(grants.size(), 0u);
}

}  // namespace
}  // namespace sharedlock
