#pragma once

#include <cstdint>
#include <optional>

#include "base/cgroup.h"

namespace sharedlock {

// How many bytes of memory this process may take: the machine's, or the smallest limit of its control groups.
std::uint64_t available_memory();

// That limit, in bytes. Nothing when there is none.
std::optional<std::uint64_t> cgroup_memory_limit(const CgroupFiles& files);

// Gives memory that was freed back to the kernel, which the C library does not do by itself where something lies behind
// it. Takes a millisecond for each 10 MB or so, in which the other threads' allocations wait: for idle moments.
void return_free_memory();

}  // namespace sharedlock
