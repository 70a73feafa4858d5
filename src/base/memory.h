#pragma once

#include <cstdint>
#include <optional>

#include "base/cgroup.h"

namespace sharedlock {

// How many bytes of memory this process may use: the machine's, or the smallest limit of its control groups.
std::uint64_t available_memory();

// That limit, in bytes. Nothing when there is none.
std::optional<std::uint64_t> cgroup_memory_limit(const CgroupFiles& files);

// Gives freed memory back to the kernel, which the C library does not do by itself when a live block lies behind it.
// Takes a millisecond per 10 MB or so, during which the other threads' allocations wait: for idle moments.
void return_free_memory();

}  // namespace sharedlock
