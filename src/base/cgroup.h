#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sharedlock {

// Where a process's control groups, which is how containers are limited, are looked for.
struct CgroupFiles {
  std::filesystem::path mount;  // /sys/fs/cgroup
  std::string membership;       // the text of /proc/self/cgroup
};
CgroupFiles own_cgroups();

// How a limit is read from the folder of one group; nothing where it has none, or can't be read.
struct CgroupLimit {
  using Read = std::optional<std::uint64_t> (*)(const std::filesystem::path& group);
  std::string_view controller;  // as version 1 names it
  Read version1;
  Read version2;
};

// The smallest such limit of the groups that the membership names, and of their ancestors. Nothing when none of them is
// limited, or none can be read.
std::optional<std::uint64_t> smallest_limit(const CgroupLimit& limit, const CgroupFiles& files);

}  // namespace sharedlock
