#include "base/memory.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/cgroup_directory.h"

namespace sharedlock {
namespace {

class CgroupMemoryLimit : public ::testing::Test {
 protected:
  void write(const std::string& path, std::string_view text) { directory_.write(path, text); }
  std::optional<std::uint64_t> limit(const std::string& membership) const {
    return cgroup_memory_limit(directory_.files(membership));
  }

 private:
  CgroupDirectory directory_;
};

TEST_F(CgroupMemoryLimit, Version2InsideAContainer) {
  write("memory.max", "134217728");
  EXPECT_EQ(limit("0::/\n"), 134217728u);
  write("memory.max", "max");
  EXPECT_EQ(limit("0::/\n"), std::nullopt);
}

TEST_F(CgroupMemoryLimit, TheTightestAncestorCounts) {
  write("a/memory.max", "1000");
  write("a/b/memory.max", "2000");
  EXPECT_EQ(limit("0::/a/b\n"), 1000u);
  EXPECT_EQ(limit("0::/c\n"), std::nullopt);
}

TEST_F(CgroupMemoryLimit, Version1) {
  write("memory/docker/abc/memory.limit_in_bytes", "5000");
  EXPECT_EQ(limit("9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n"), 5000u);
}

TEST(Memory, SomeMemoryIsAvailable) {
  EXPECT_GT(available_memory(), std::uint64_t{16} << 20);
}

}  // namespace
}  // namespace sharedlock
