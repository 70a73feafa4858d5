#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace sharedlock {

// How many CPUs this process may keep busy, at least 1: the smaller of its affinity mask and of the CPU quota of its
// control groups (version 1 or 2), which is how containers are limited. std::thread knows the mask only.
unsigned available_cpus();

// The smallest CPU quota, rounded up to whole CPUs, of the control groups that `membership` (the text of
// /proc/self/cgroup) names and of their ancestors, as read from the files below `mount` (/sys/fs/cgroup). Nothing when
// none of them is limited, or none can be read.
std::optional<unsigned> cgroup_cpu_limit(const std::filesystem::path& mount, std::string_view membership);

}  // namespace sharedlock
