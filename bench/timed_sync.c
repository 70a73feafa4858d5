// Preloaded into a server by script/bench: syncs are unchanged, and the duration of each, in nanoseconds as 8 bytes, is
// appended to the file that SYNC_TIMES names. So the disk's speed is known for the very run that is measured.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int times = -1;
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("SYNC_TIMES");
  if (path) times = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
}

static int timed(int (*sync)(int), int fd) {
  struct timespec begun, ended;
  clock_gettime(CLOCK_MONOTONIC, &begun);
  int result = sync(fd);
  int reason = errno;
  clock_gettime(CLOCK_MONOTONIC, &ended);
  int64_t took = (int64_t)(ended.tv_sec - begun.tv_sec) * 1000000000 + (ended.tv_nsec - begun.tv_nsec);
  if (write(times, &took, sizeof took) != sizeof took) times = -1;
  errno = reason;
  return result;
}

int fdatasync(int fd) { return timed(real_fdatasync, fd); }

int fsync(int fd) { return timed(real_fsync, fd); }
