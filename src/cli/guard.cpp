#include "cli/guard.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

#include "cli/guard_process.h"

namespace sharedlock {

Guard::Guard(GuardedCommand command, OnLost on_lost) {
  // If the guard is killed, the rest of the command becomes ours.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  // If our parent ignored it, so would we, and the kernel would not report the end of our children.
  ::signal(SIGCHLD, SIG_DFL);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "can't make a socket");
  }
  sigset_t before;
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // no signal arrives while the guard is half made
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(ends[0]);
    GuardProcess(std::move(command), on_lost, ends[1], before).run();
  }
  int why = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(ends[1]);
  socket_ = ends[0];
  if (pid_ < 0) throw std::system_error(why, std::generic_category(), "can't fork");
}

Guard::~Guard() {
  ::close(socket_);
}

void Guard::tell(const GuardOrder& order) const {
  ::send(socket_, &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT);
}

std::optional<GuardReport> Guard::read() const {
  GuardReport report;
  if (::recv(socket_, &report, sizeof report, 0) != sizeof report) return std::nullopt;
  return report;
}

}  // namespace sharedlock
