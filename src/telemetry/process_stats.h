#pragma once

#include <cstdint>
#include <optional>

namespace sharedlock {

// What this process uses, as the kernel counts it. What can't be read is not there.
struct ProcessStats {
  std::optional<double> cpu_seconds;  // user and system, of all threads since the start
  std::optional<std::uint64_t> resident_bytes;
  std::optional<std::uint64_t> virtual_bytes;
  std::optional<std::uint64_t> open_fds;
  std::optional<std::uint64_t> max_fds;  // the soft limit
  std::optional<std::uint64_t> threads;
  std::optional<double> start_seconds;  // since 1970; always the same
};

// Reads them. Holds a file of /proc open, so that it still can when the process has run out of descriptors. (How many
// are open can't be told then by kernels before 6.2.) Thread-safe.
class ProcessStatsReader {
 public:
  ProcessStatsReader();
  ProcessStatsReader(const ProcessStatsReader&) = delete;
  ProcessStatsReader& operator=(const ProcessStatsReader&) = delete;
  ~ProcessStatsReader();

  ProcessStats read() const;

 private:
  int stat_file_;  // /proc/self/stat; -1: there is none
  std::optional<double> start_seconds_;
};

}  // namespace sharedlock
