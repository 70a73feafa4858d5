#include "base/cpus.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/cgroup_directory.h"

namespace sharedlock {
namespace {

class CgroupCpuLimit : public ::testing::Test {
 protected:
  void write(const std::string& path, std::string_view text) { directory_.write(path, text); }
  std::optional<unsigned> limit(const std::string& membership) const {
    return cgroup_cpu_limit(directory_.files(membership));
  }

 private:
  CgroupDirectory directory_;
};

TEST_F(CgroupCpuLimit, Version2InsideAContainer) {
  write("cpu.max", "200000 100000");
  EXPECT_EQ(limit("0::/\n"), 2u);
}

TEST_F(CgroupCpuLimit, PartsOfACpuRoundUp) {
  write("cpu.max", "150000 100000");
  EXPECT_EQ(limit("0::/\n"), 2u);
  write("cpu.max", "10000 100000");
  EXPECT_EQ(limit("0::/\n"), 1u);
  write("cpu.max", "200001 100000");
  EXPECT_EQ(limit("0::/\n"), 3u);
}

TEST_F(CgroupCpuLimit, Version2WithoutALimit) {
  write("cpu.max", "max 100000");
  EXPECT_EQ(limit("0::/\n"), std::nullopt);
}

TEST_F(CgroupCpuLimit, TheTightestAncestorCounts) {
  write("system.slice/cpu.max", "300000 100000");
  write("system.slice/shared-lock.service/cpu.max", "800000 100000");
  EXPECT_EQ(limit("0::/system.slice/shared-lock.service\n"), 3u);
  write("system.slice/shared-lock.service/cpu.max", "100000 100000");
  EXPECT_EQ(limit("0::/system.slice/shared-lock.service\n"), 1u);
  EXPECT_EQ(limit("0::/user.slice\n"), std::nullopt);
}

TEST_F(CgroupCpuLimit, Version1) {
  write("cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "400000");
  write("cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000");
  write("cpu,cpuacct/cpu.cfs_quota_us", "-1");
  write("cpu,cpuacct/cpu.cfs_period_us", "100000");
  EXPECT_EQ(limit("11:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n"), 4u);
}

TEST_F(CgroupCpuLimit, Version1WithTheHostsPathInsideAContainer) {
  write("cpu/cpu.cfs_quota_us", "50000");
  write("cpu/cpu.cfs_period_us", "25000");
  EXPECT_EQ(limit("4:cpu,cpuacct:/docker/not-mounted-here\n"), 2u);
}

TEST_F(CgroupCpuLimit, OtherControllersDoNotCount) {
  write("cpuset/cpu.cfs_quota_us", "100000");
  write("cpuset/cpu.cfs_period_us", "100000");
  EXPECT_EQ(limit("3:cpuset:/\n"), std::nullopt);
}

TEST_F(CgroupCpuLimit, AnUnreadableFileIsNoLimit) {
  EXPECT_EQ(limit("0::/\n"), std::nullopt);
  EXPECT_EQ(limit(""), std::nullopt);
  EXPECT_EQ(limit("nonsense\n:\n"), std::nullopt);
  write("cpu.max", "");
  EXPECT_EQ(limit("0::/\n"), std::nullopt);
  write("cpu.max", "100000 0");
  EXPECT_EQ(limit("0::/\n"), std::nullopt);
}

TEST(AvailableCpus, IsAtLeastOneAndFollowsTheAffinityMask) {
  EXPECT_GE(available_cpus(), 1u);
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(available_cpus(), 1u);
  ::sched_setaffinity(0, sizeof before, &before);
}

}  // namespace
}  // namespace sharedlock
