#include "base/cpus.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <thread>

namespace sharedlock {

namespace {

using Limit = std::optional<unsigned>;

Limit smaller(Limit a, Limit b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// A quota of `quota` microseconds of CPU time in each `period`; a quota of -1 is no limit.
Limit whole_cpus(std::int64_t quota, std::int64_t period) {
  if (quota <= 0 || period <= 0) return std::nullopt;
  const auto cpus = (quota - 1) / period + 1;
  return static_cast<unsigned>(std::min<std::int64_t>(cpus, std::numeric_limits<int>::max()));
}

// Version 2: "max 100000" or "150000 100000".
Limit read_v2(const std::filesystem::path& group) {
  std::ifstream file(group / "cpu.max");
  std::int64_t quota = 0;
  std::int64_t period = 0;
  return file >> quota >> period ? whole_cpus(quota, period) : std::nullopt;
}

Limit read_v1(const std::filesystem::path& group) {
  std::ifstream quota_file(group / "cpu.cfs_quota_us");
  std::ifstream period_file(group / "cpu.cfs_period_us");
  std::int64_t quota = 0;
  std::int64_t period = 0;
  return quota_file >> quota && period_file >> period ? whole_cpus(quota, period) : std::nullopt;
}

// The smallest limit of `group` and everything above it, up to `root`. Inside a container the group's path may be that
// of the host, with only the root mounted: what can't be read is skipped.
Limit smallest_upwards(const std::filesystem::path& root, std::filesystem::path group,
                       Limit (*read)(const std::filesystem::path&)) {
  Limit limit = read(root);
  for (; !group.empty(); group = group.parent_path()) limit = smaller(limit, read(root / group));
  return limit;
}

bool lists_cpu(std::string_view controllers) {
  return ("," + std::string(controllers) + ",").find(",cpu,") != std::string::npos;
}

unsigned affinity_cpus() {
  // A mask for 8,192 CPUs, the most that Linux can be built for; the kernel refuses one that is too small.
  constexpr std::size_t kMasks = 8;
  std::array<cpu_set_t, kMasks> masks{};
  if (::sched_getaffinity(0, sizeof masks, masks.data()) != 0) return std::thread::hardware_concurrency();
  return static_cast<unsigned>(CPU_COUNT_S(sizeof masks, masks.data()));
}

}  // namespace

std::optional<unsigned> cgroup_cpu_limit(const std::filesystem::path& mount, std::string_view membership) {
  Limit limit;
  std::istringstream lines{std::string(membership)};
  for (std::string line; std::getline(lines, line);) {  // "0::/path" or "4:cpu,cpuacct:/path"
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const auto group = std::filesystem::path(line.substr(second + 1)).relative_path();
    if (controllers.empty()) {
      limit = smaller(limit, smallest_upwards(mount, group, read_v2));
    } else if (lists_cpu(controllers)) {
      limit = smaller(limit, smallest_upwards(mount / controllers, group, read_v1));
      limit = smaller(limit, smallest_upwards(mount / "cpu", group, read_v1));
    }
  }
  return limit;
}

unsigned available_cpus() {
  std::ifstream file("/proc/self/cgroup");
  std::stringstream membership;
  membership << file.rdbuf();
  const auto allowed = std::max(1u, affinity_cpus());
  return std::min(allowed, cgroup_cpu_limit("/sys/fs/cgroup", membership.str()).value_or(allowed));
}

}  // namespace sharedlock
