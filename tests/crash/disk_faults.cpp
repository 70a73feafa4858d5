// A module for LD_PRELOAD: stands between a program and its disk, and does what DiskFaults says. It calls the kernel
// directly, so other preloaded modules do not matter.
#include "crash/disk_faults.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

using sharedlock::test::DiskFaults;

DiskFaults* map_faults() {
  const char* file = std::getenv(sharedlock::test::kDiskFaultsFile);
  int handle = file ? ::open(file, O_RDWR | O_CLOEXEC) : -1;
  if (handle < 0) std::abort();
  void* mapped = ::mmap(nullptr, sizeof(DiskFaults), PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
  ::close(handle);
  if (mapped == MAP_FAILED) std::abort();
  return static_cast<DiskFaults*>(mapped);
}

DiskFaults& faults() {
  static DiskFaults* const mapped = map_faults();
  return *mapped;
}

bool is_ours(int file) {
  static const char* const folder = std::getenv(sharedlock::test::kDiskFaultsFolder);
  static const std::size_t length = folder ? std::strlen(folder) : 0;
  char link[64];
  char path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t got = ::readlink(link, path, sizeof path);
  if (length == 0 || got < static_cast<ssize_t>(length)) return false;
  return std::memcmp(path, folder, length) == 0;
}

void wait_ms(std::uint32_t ms) {
  timespec span{static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000) * 1'000'000};
  ::nanosleep(&span, nullptr);  // real time: a slow disk takes some
}

// Before a sync; false when it fails.
bool begin_sync(int file) {
  if (!is_ours(file)) return true;
  std::uint32_t number = ++faults().begun;
  ++faults().hanging;
  while (faults().hangs != 0) wait_ms(1);
  --faults().hanging;
  if (std::uint32_t delay = faults().delay_ms) wait_ms(delay);
  if (number != faults().fails_at) return true;
  errno = EIO;
  return false;
}

bool has_room(int file) {
  if (faults().is_full == 0 || !is_ours(file)) return true;
  errno = ENOSPC;
  return false;
}

}  // namespace

// The names and parameters are those of the C library.
extern "C" {

int fsync(int file) {
  return begin_sync(file) ? static_cast<int>(::syscall(SYS_fsync, file)) : -1;
}

int fdatasync(int file) {
  return begin_sync(file) ? static_cast<int>(::syscall(SYS_fdatasync, file)) : -1;
}

int sync_file_range(int file, off64_t offset, off64_t count, unsigned int flags) {
  if (!begin_sync(file)) return -1;
  return static_cast<int>(::syscall(SYS_sync_file_range, file, offset, count, flags));
}

ssize_t write(int file, const void* bytes, size_t count) {
  return has_room(file) ? ::syscall(SYS_write, file, bytes, count) : -1;
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  return has_room(file) ? ::syscall(SYS_pwrite64, file, bytes, count, offset) : -1;
}

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t offset) {
  return has_room(file) ? ::syscall(SYS_pwrite64, file, bytes, count, offset) : -1;
}

int fallocate(int file, int mode, off_t offset, off_t count) {
  return has_room(file) ? static_cast<int>(::syscall(SYS_fallocate, file, mode, offset, count)) : -1;
}

int fallocate64(int file, int mode, off64_t offset, off64_t count) {
  return has_room(file) ? static_cast<int>(::syscall(SYS_fallocate, file, mode, offset, count)) : -1;
}

}  // extern "C"
