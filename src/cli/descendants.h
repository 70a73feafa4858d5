#pragma once

#include <sys/types.h>

#include <vector>

namespace sharedlock {

// All processes below this one, as /proc shows them now: its children, theirs, and so on. Whoever it is a subreaper of
// (prctl(2)) can't leave by a double fork or a session of its own.
std::vector<pid_t> descendants();

// Whether /proc shows the processes of our own process namespace: else there is none, or one of others.
bool sees_processes();

// Ends all of them with SIGKILL, again and again until none is left, and reaps them: at most a few milliseconds, unless
// one hangs in the kernel.
void kill_descendants();

}  // namespace sharedlock
