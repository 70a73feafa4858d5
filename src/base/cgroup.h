#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace sharedlock {

// Where to look for a process's control groups, which is how containers are limited.
struct CgroupFiles {
  std::filesystem::path mount;  // /sys/fs/cgroup
  std::string membership;       // the text of /proc/self/cgroup
};
CgroupFiles own_cgroups();

// How to read a limit from the folder of one group; nothing if it has none or it can't be read.
struct CgroupLimit {
  using Read = std::optional<std::uint64_t> (*)(const std::filesystem::path& group);
  std::string_view controller;  // its name in version 1
  Read version1;
  Read version2;
};

// The smallest limit among the groups that the membership names and their ancestors. Nothing when none of them is
// limited, or none can be read.
std::optional<std::uint64_t> smallest_limit(const CgroupLimit& limit, const CgroupFiles& files);

}  // namespace sharedlock
