#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sharedlock {

// A command that runs under a lock, and the guard, a small process that watches over it: it starts the command in a
// process group of its own, and ends it in time whatever happens to the runner: us, the process that talks to the lock
// service. The guard is forked before there are threads, shares only a socket with us, and waits only for that, a timer
// on CLOCK_BOOTTIME and its children. It keeps all descendants of the command, even those that leave group or session.
//
// If the guard is killed, the kernel kills the command, and the command's descendants become ours.

// The command, and what ends it.
struct GuardedCommand {
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // added
  bool leaves_descendants = false;  // the run ends with the command's own process; descendants live on
};

enum class OnLost : std::uint8_t { terminate, kill, ignore };

// Our orders to the guard. Times are nanoseconds of CLOCK_BOOTTIME. A start that arrives after kill_at starts nothing:
// the guard reports the command as `ended`.
struct GuardOrder {
  enum class Kind : std::uint8_t { start, deadline, signal, kill } kind = Kind::start;
  std::int32_t signal = 0;
  std::int32_t sender = 0;  // signal: the process that sent it to us, or 0
  std::int64_t terminate_at = 0;
  std::int64_t kill_at = 0;
  std::int64_t token = 0;  // for start
};

// The guard's reports.
struct GuardReport {
  enum class Kind : std::uint8_t {
    failed,  // to start the command, with that errno
    left,    // the command has ended, its descendants have not
    ended,   // nothing is left
  } kind = Kind::ended;
  // ended: the guard ended it, since the lock was lost or its time was over, whatever the command did on its SIGTERM
  bool by_guard = false;
  std::int32_t value = 0;  // errno, or the status as of waitpid(2)
};

class Guard {
 public:
  // Forks it. Throws std::system_error.
  Guard(GuardedCommand command, OnLost on_lost);
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard();  // tells it that we are gone, by closing the socket

  // From any thread; never blocks. An order is dropped only if the guard has died, or stands still.
  void tell(const GuardOrder& order) const;

  // A descriptor to poll; then a report, or nothing: the guard has died.
  int socket() const { return socket_; }
  std::optional<GuardReport> read() const;

  pid_t pid() const { return pid_; }

 private:
  int socket_ = -1;
  pid_t pid_ = -1;
};

}  // namespace sharedlock
