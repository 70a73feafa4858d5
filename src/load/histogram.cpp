#include "load/histogram.h"

#include <algorithm>
#include <cmath>

namespace sharedlock::bench {

Histogram& Histogram::operator+=(const Histogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
  return *this;
}

std::chrono::nanoseconds Histogram::mean() const {
  return std::chrono::nanoseconds(count_ == 0 ? 0 : sum_ / count_);
}

std::chrono::nanoseconds Histogram::at(double share) const {
  auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  wanted = std::clamp<std::uint64_t>(wanted, 1, std::max<std::uint64_t>(count_, 1));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return std::chrono::nanoseconds(std::min(middle_of(i), max_));
  }
  return std::chrono::nanoseconds(0);
}

std::uint64_t Histogram::middle_of(std::size_t bucket) {
  if (bucket < 2 * kPerPower) return bucket;
  std::uint64_t shift = bucket / kPerPower - 1;
  std::uint64_t lowest = (bucket - shift * kPerPower) << shift;
  return lowest + (std::uint64_t{1} << shift) / 2;
}

}  // namespace sharedlock::bench
