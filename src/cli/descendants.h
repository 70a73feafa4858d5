#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

namespace sharedlock {

// All processes below this one, as /proc shows them now: its children, theirs, and so on. If this one is a subreaper
// (prctl(2)), none of them can escape by a double fork or a session of its own.
std::vector<pid_t> descendants();

// Whether /proc shows the processes of our own process namespace; false without /proc, or if it is another namespace's.
bool sees_processes();

// Whether one is the parent of the other, or the parent's parent, and so on, as /proc shows them now.
bool is_above(pid_t ancestor, pid_t process);

// Whether that signal is pending for the process because it is blocked there.
bool has_pending(pid_t process, int signal);

// Whether a service manager that signals all processes of the control group of `of`, and of the groups below it,
// signals `process` as well. True if neither /proc nor the kernel tells.
bool is_in_control_group_of(pid_t process, pid_t of);
// The same, from the texts of their /proc/PID/cgroup.
bool is_in_control_group_of(std::string_view membership, std::string_view of);

// Whether its process group has other members that neither started it nor were started by it: a shell's `a | b`.
bool is_in_pipeline(pid_t process);

// Kills all of them with SIGKILL, again and again until none is left, and reaps them: takes at most a few milliseconds,
// unless one hangs in the kernel.
void kill_descendants();

}  // namespace sharedlock
