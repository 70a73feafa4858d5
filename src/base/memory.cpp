#include "base/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace sharedlock {

namespace {

// "max" (version 2) is no number and so no limit. Version 1 uses a number beyond all memory for that.
std::optional<std::uint64_t> read_number(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

std::optional<std::uint64_t> memory_limit_v1(const std::filesystem::path& group) {
  return read_number(group / "memory.limit_in_bytes");
}

std::optional<std::uint64_t> memory_limit_v2(const std::filesystem::path& group) {
  return read_number(group / "memory.max");
}

}  // namespace

std::optional<std::uint64_t> cgroup_memory_limit(const CgroupFiles& files) {
  return smallest_limit({.controller = "memory", .version1 = memory_limit_v1, .version2 = memory_limit_v2}, files);
}

std::uint64_t available_memory() {
  auto pages = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_PHYS_PAGES)));
  std::uint64_t machine = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return std::min(machine, cgroup_memory_limit(own_cgroups()).value_or(machine));
}

void return_free_memory() {
  ::malloc_trim(0);
}

}  // namespace sharedlock
