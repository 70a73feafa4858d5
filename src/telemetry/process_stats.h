#pragma once

#include <cstdint>
#include <optional>

namespace sharedlock {

// This process's resource usage, as the kernel counts it. Values that can't be read are absent.
struct ProcessStats {
  std::optional<double> cpu_seconds;  // user and system, of all threads since the start
  std::optional<std::uint64_t> resident_bytes;
  std::optional<std::uint64_t> virtual_bytes;
  std::optional<std::uint64_t> open_fds;
  std::optional<std::uint64_t> max_fds;  // the soft limit
  std::optional<std::uint64_t> threads;
  std::optional<double> start_seconds;  // since 1970; always the same
};

// Reads them. Keeps a file of /proc open, so that reading still works when the process has run out of descriptors. (On
// kernels before 6.2 the number of open ones is then unknown.) Thread-safe.
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
