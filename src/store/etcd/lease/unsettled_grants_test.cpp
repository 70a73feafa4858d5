#include "store/etcd/lease/unsettled_grants.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/manual_clock.h"

namespace sharedlock {
namespace {

constexpr LeaseId kId{1234567};
constexpr LeaseId kOtherId{7654321};

// Grants that never settle must not cost a look at all of them for each new grant; settled ones are forgotten.
TEST(EtcdUnsettledGrants, AreLookedOverWhenTheyHaveDoubled) {
  constexpr std::int64_t kGrants = 8192;
  std::size_t asked = 0;
  bool ended = false;
  auto epochs_ended = [&] {
    ++asked;
    return ended;
  };
  ManualClock clock;
  EtcdUnsettledGrants grants(epochs_ended, [](BootTime) { return false; }, clock);
  for (std::int64_t i = 0; i < kGrants; ++i) grants.add(LeaseId{i}, std::make_shared<char>(), BootTime());
  EXPECT_EQ(grants.size(), static_cast<std::size_t>(kGrants));
  EXPECT_LT(asked, 4 * static_cast<std::size_t>(kGrants));
  EXPECT_FALSE(grants.is_settled(LeaseId{0}));
  ended = true;
  for (std::int64_t i = 0; i < 2 * kGrants; ++i) grants.add(LeaseId{i}, std::make_shared<char>(), BootTime());
  EXPECT_LE(grants.size(), static_cast<std::size_t>(kGrants));
  EXPECT_TRUE(grants.is_settled(LeaseId{0}));
}

TEST(EtcdUnsettledGrants, SafetyR06_AnIdIsSettledWhenAllItsTriesAre) {
  ManualClock clock;
  EtcdUnsettledGrants grants([] { return true; }, [](BootTime) { return false; }, clock);
  auto first = std::make_shared<char>();
  auto second = std::make_shared<char>();
  grants.add(kId, first, BootTime());
  grants.add(kId, second, BootTime());
  first.reset();
  EXPECT_FALSE(grants.is_settled(kId));
  EXPECT_TRUE(grants.is_settled(kOtherId));
  second.reset();
  EXPECT_TRUE(grants.is_settled(kId));
  EXPECT_EQ(grants.size(), 0u);
}

}  // namespace
}  // namespace sharedlock
