#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sharedlock {

// The upper bounds of the buckets in which latencies are counted; a value equal to a bound is within it.
inline constexpr std::array<std::chrono::nanoseconds, 16> kLatencyBounds = [] {
  std::array<std::chrono::nanoseconds, 16> bounds{};
  constexpr std::array<std::int64_t, 16> kMicroseconds = {100,       250,       500,       1'000,     2'500,   5'000,
                                                          10'000,    25'000,    50'000,    100'000,   250'000, 500'000,
                                                          1'000'000, 2'500'000, 5'000'000, 10'000'000};
  for (std::size_t i = 0; i < bounds.size(); ++i) bounds[i] = std::chrono::microseconds(kMicroseconds[i]);
  return bounds;
}();
inline constexpr std::size_t kLatencyBuckets = kLatencyBounds.size() + 1;  // the last one is above all bounds

// The bucket of `took`. Searched from below, one by one: nearly every request is in the first.
constexpr std::size_t latency_bucket(std::chrono::nanoseconds took) {
  std::size_t bucket = 0;
  while (bucket < kLatencyBounds.size() && took > kLatencyBounds[bucket]) ++bucket;
  return bucket;
}

// `took`, for summing; negative times count as none.
constexpr std::uint64_t latency_nanoseconds(std::chrono::nanoseconds took) {
  return took.count() > 0 ? static_cast<std::uint64_t>(took.count()) : 0;
}

// The recorded latencies of one series.
struct LatencyCounts {
  std::array<std::uint64_t, kLatencyBuckets> buckets{};  // not cumulative
  std::uint64_t nanoseconds = 0;                         // all of them together
};

}  // namespace sharedlock
