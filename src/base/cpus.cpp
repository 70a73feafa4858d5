#include "base/cpus.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <limits>
#include <thread>

namespace sharedlock {

namespace {

using Limit = std::optional<std::uint64_t>;

// A quota of `quota` microseconds of CPU time in each `period`; a quota of -1 is no limit.
Limit whole_cpus(std::int64_t quota, std::int64_t period) {
  if (quota <= 0 || period <= 0) return std::nullopt;
  const auto cpus = (quota - 1) / period + 1;
  return static_cast<std::uint64_t>(std::min<std::int64_t>(cpus, std::numeric_limits<int>::max()));
}

// Version 2: "max 100000" or "150000 100000".
Limit cpu_limit_v2(const std::filesystem::path& group) {
  std::ifstream file(group / "cpu.max");
  std::int64_t quota = 0;
  std::int64_t period = 0;
  return file >> quota >> period ? whole_cpus(quota, period) : std::nullopt;
}

Limit cpu_limit_v1(const std::filesystem::path& group) {
  std::ifstream quota_file(group / "cpu.cfs_quota_us");
  std::ifstream period_file(group / "cpu.cfs_period_us");
  std::int64_t quota = 0;
  std::int64_t period = 0;
  return quota_file >> quota && period_file >> period ? whole_cpus(quota, period) : std::nullopt;
}

unsigned affinity_cpus() {
  // A mask for 8,192 CPUs, the most that Linux can be built for; the kernel refuses one that is too small.
  constexpr std::size_t kMasks = 8;
  std::array<cpu_set_t, kMasks> masks{};
  if (::sched_getaffinity(0, sizeof masks, masks.data()) != 0) return std::thread::hardware_concurrency();
  return static_cast<unsigned>(CPU_COUNT_S(sizeof masks, masks.data()));
}

}  // namespace

std::optional<unsigned> cgroup_cpu_limit(const CgroupFiles& files) {
  auto limit = smallest_limit({.controller = "cpu", .version1 = cpu_limit_v1, .version2 = cpu_limit_v2}, files);
  if (!limit) return std::nullopt;
  return static_cast<unsigned>(*limit);
}

unsigned available_cpus() {
  const auto allowed = std::max(1u, affinity_cpus());
  return std::min(allowed, cgroup_cpu_limit(own_cgroups()).value_or(allowed));
}

}  // namespace sharedlock
