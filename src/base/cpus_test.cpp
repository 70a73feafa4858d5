#include "base/cpus.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>

#include <fstream>
#include <string>

namespace sharedlock {
namespace {

// A directory laid out like /sys/fs/cgroup.
class CgroupCpuLimit : public ::testing::Test {
 protected:
  CgroupCpuLimit() {
    std::string name = ::testing::TempDir() + "cgroup-XXXXXX";
    mount_ = ::mkdtemp(name.data());
  }
  ~CgroupCpuLimit() override { std::filesystem::remove_all(mount_); }

  void write(const std::string& path, std::string_view text) {
    const auto file = mount_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
  }

  std::optional<unsigned> limit(std::string_view membership) const { return cgroup_cpu_limit(mount_, membership); }

  std::filesystem::path mount_;
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

TEST_F(CgroupCpuLimit, WhatCanNotBeReadIsNoLimit) {
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
