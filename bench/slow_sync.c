// Preloaded into a server by script/bench: each sync takes as long as SLOW_SYNC_MICROSECONDS says and reaches no disk,
// so that the server is measured and not today's disk.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static int wait_instead(void) {
  const char *text = getenv("SLOW_SYNC_MICROSECONDS");
  long microseconds = text ? strtol(text, NULL, 10) : 0;
  struct timespec until;
  prctl(PR_SET_TIMERSLACK, 1UL);
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += microseconds % 1000000 * 1000;
  until.tv_sec += microseconds / 1000000 + until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
  }
  return 0;
}

int fdatasync(int fd) {
  (void)fd;
  return wait_instead();
}

int fsync(int fd) {
  (void)fd;
  return wait_instead();
}
