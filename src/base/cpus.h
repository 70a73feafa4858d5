#pragma once

#include <optional>

#include "base/cgroup.h"

namespace sharedlock {

// How many CPUs this process may keep busy, at least 1: the smaller of its affinity mask and of the CPU quota of its
// control groups (version 1 or 2), which is how containers are limited. std::thread knows only the mask.
unsigned available_cpus();

// The smallest CPU quota of those control groups, rounded up to whole CPUs. Nothing when there is none.
std::optional<unsigned> cgroup_cpu_limit(const CgroupFiles& files);

}  // namespace sharedlock
