#include "telemetry/process_stats.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <latch>
#include <thread>
#include <vector>

namespace sharedlock {
namespace {

TEST(ProcessStats, CountWhatThisProcessUses) {
  ProcessStats before = ProcessStatsReader().read();
  EXPECT_GT(before.cpu_seconds, 0);
  EXPECT_GT(before.resident_bytes, 500'000U);
  EXPECT_GT(before.virtual_bytes, before.resident_bytes);
  EXPECT_GE(before.threads, 1U);

  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(before.max_fds, limit.rlim_cur);
}

TEST(ProcessStats, FollowDescriptorsThreadsMemoryAndTime) {
  ProcessStatsReader reader;
  ProcessStats before = reader.read();
  int file = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(file, 0);
  std::vector<char> memory(64 << 20, 'x');
  std::latch measured(1);
  std::thread other([&measured] { measured.wait(); });
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (*reader.read().cpu_seconds < *before.cpu_seconds + 0.02 && std::chrono::steady_clock::now() < until) {
  }
  ProcessStats after = reader.read();
  measured.count_down();
  other.join();
  ::close(file);

  EXPECT_EQ(after.open_fds, *before.open_fds + 1);
  EXPECT_EQ(after.threads, *before.threads + 1);
  EXPECT_GE(after.resident_bytes, *before.resident_bytes + memory.size() / 2);
  EXPECT_GE(after.cpu_seconds, *before.cpu_seconds + 0.02);
  EXPECT_EQ(after.start_seconds, before.start_seconds);
}

TEST(ProcessStats, StartLiesALittleInThePast) {
  double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  auto start = ProcessStatsReader().read().start_seconds;
  // The kernel rounds the machine's start to whole seconds.
  EXPECT_LT(start, now + 1.5);
  EXPECT_GT(start, now - 3600);
}

// All descriptors of this process are taken while it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few{.rlim_cur = 64, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int file = 0; (file = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken_.push_back(file);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() {
    for (int file : taken_) ::close(file);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }

 private:
  rlimit before_{};
  std::vector<int> taken_;
};

// That is when an operator looks at them.
TEST(ProcessStats, AreStillThereWhenDescriptorsRunOut) {
  ProcessStatsReader reader;
  ProcessStats before = reader.read();
  ProcessStats without;
  {
    NoDescriptors none;
    without = reader.read();
  }
  EXPECT_GT(without.resident_bytes, 500'000U);
  EXPECT_GT(without.virtual_bytes, 500'000U);
  EXPECT_GE(without.threads, 1U);
  EXPECT_EQ(without.start_seconds, before.start_seconds);
  EXPECT_EQ(without.max_fds, 64U);
  // More where some were handed down with numbers beyond the limit.
  EXPECT_GE(without.open_fds.value_or(64), 64U);
}

TEST(ProcessStats, UnreadableValuesAreAbsent) {
  ProcessStats stats;
  {
    NoDescriptors none;
    stats = ProcessStatsReader().read();
  }
  EXPECT_EQ(stats.resident_bytes, std::nullopt);
  EXPECT_EQ(stats.virtual_bytes, std::nullopt);
  EXPECT_EQ(stats.threads, std::nullopt);
  EXPECT_EQ(stats.start_seconds, std::nullopt);
}

}  // namespace
}  // namespace sharedlock
