#include "app/machine_limits.h"

#include <gtest/gtest.h>

namespace sharedlock {
namespace {

constexpr std::uint64_t kMemory = std::uint64_t{1} << 30;

config::Settings with(std::uint64_t connections, std::uint64_t in_flight) {
  config::Settings settings;
  settings.max_connections = connections;
  settings.max_requests_in_flight = in_flight;
  return with_derived_limits(std::move(settings), kMemory);
}

TEST(MachineLimits, SafetyR36_HalfIsLeftForRequestsThatDoNotWait) {
  EXPECT_EQ(with(1000, 0).max_waiters, 500u);
  EXPECT_EQ(with(1000, 8).max_waiters, 4u);
  EXPECT_EQ(with(8, 1000).max_waiters, 4u);
  EXPECT_EQ(with(1, 0).max_waiters, 1u) << "0 would be no limit";
}

TEST(MachineLimits, SafetyR36_HalfIsLeftForOtherAddresses) {
  EXPECT_EQ(with(1000, 8).max_connections_per_address, 500u);
  EXPECT_EQ(with(1, 0).max_connections_per_address, 0u) << "all";
}

TEST(MachineLimits, AnEighthOfTheMemoryIsForRequests) {
  EXPECT_EQ(with(1000, 0).max_buffered_bytes, kMemory / 8);
  config::Settings settings;
  settings.max_connections = 1000;
  EXPECT_EQ(with_derived_limits(settings, 100 * kMemory).max_buffered_bytes, kMemory / 4) << "more is for nothing";
}

TEST(MachineLimits, ExplicitSettingsAreKept) {
  config::Settings settings;
  settings.max_connections = 1000;
  settings.max_waiters = 999;
  settings.max_connections_per_address = 7;
  settings.max_buffered_bytes = 5;
  settings = with_derived_limits(std::move(settings), kMemory);
  EXPECT_EQ(settings.max_waiters, 999u);
  EXPECT_EQ(settings.max_connections_per_address, 7u);
  EXPECT_EQ(settings.max_buffered_bytes, 5u);
}

TEST(MachineLimits, AReserveOfDescriptorsIsKept) {
  EXPECT_EQ(connections_that_fit(256, 2), 128u);
  EXPECT_EQ(connections_that_fit(100'000, 2), 99'800u);
  EXPECT_EQ(connections_that_fit(0, 2), 1u);
}

}  // namespace
}  // namespace sharedlock
