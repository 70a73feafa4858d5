#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace sharedlock {

// How the operations of the lease API ended, under the names and label values of the service it replaces.
enum class LeaseOperation { get_created, get_accepted, get_error, prolong_success, prolong_failure };
inline constexpr std::size_t kLeaseOperations = 5;

// The metrics of the lease API. Counting touches only the calling thread's own counters, which are added up when
// somebody asks. Thread-safe.
class LeaseMetrics {
 public:
  void count(LeaseOperation operation, std::chrono::nanoseconds took);

  // All of them in Prometheus' text format.
  std::string to_prometheus_text() const;

  static constexpr std::array<double, 16> kBuckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                      0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

 private:
  using Counter = std::atomic<std::uint64_t>;
  struct Histogram {
    std::array<Counter, kBuckets.size() + 1> buckets{};  // not cumulative; the last one is above all bounds
    Counter nanoseconds{0};
  };
  struct alignas(64) Slot {
    std::array<Counter, kLeaseOperations> operations{};
    std::array<Histogram, 2> durations{};  // get, prolong
  };

  std::array<Slot, 32> slots_{};  // threads share one only when there are more of them
};

}  // namespace sharedlock
