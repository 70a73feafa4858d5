#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/cgroup.h"

namespace sharedlock {

// For tests: a directory laid out like /sys/fs/cgroup, deleted with this object.
class CgroupDirectory {
 public:
  CgroupDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "cgroup-XXXXXX").string();
    mount_ = ::mkdtemp(name.data());
  }
  ~CgroupDirectory() { std::filesystem::remove_all(mount_); }
  CgroupDirectory(const CgroupDirectory&) = delete;
  CgroupDirectory& operator=(const CgroupDirectory&) = delete;

  void write(const std::string& path, std::string_view text) {
    const auto file = mount_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
  }
  // The files of a process with `membership` in its /proc/self/cgroup.
  CgroupFiles files(const std::string& membership) const { return {mount_, membership}; }

 private:
  std::filesystem::path mount_;
};

}  // namespace sharedlock
