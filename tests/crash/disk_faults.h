#pragma once

#include <atomic>
#include <cstdint>

namespace sharedlock::test {

// What a disk does wrong: shared, through a mapped file, by a test and a program with the module disk_faults loaded.
// Of the files below one directory alone. All zeros: nothing.
struct DiskFaults {
  std::atomic<std::uint32_t> begun;     // syncs so far, also those that failed
  std::atomic<std::uint32_t> fails_at;  // the sync of that number, from 1 on, fails with EIO; 0: none
  std::atomic<std::uint32_t> hangs;     // while it is not 0 no sync ends
  std::atomic<std::uint32_t> hanging;   // how many are held up by that
  std::atomic<std::uint32_t> delay_ms;  // how much longer each sync takes
  std::atomic<std::uint32_t> is_full;   // while it is not 0 writes fail with ENOSPC
};

// Names of the environment: the mapped file, and the directory.
inline constexpr const char* kDiskFaultsFile = "DISK_FAULTS_FILE";
inline constexpr const char* kDiskFaultsFolder = "DISK_FAULTS_FOLDER";

}  // namespace sharedlock::test
