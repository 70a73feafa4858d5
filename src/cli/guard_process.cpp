#include "cli/guard_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "cli/descendants.h"

namespace sharedlock {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr int kTerminalLookMs = 200;

std::int64_t boot_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

// Hands the terminal from one process group to another; not when a third one has it, or we have none. SIGTTOU is
// blocked here.
void pass_terminal(pid_t from, pid_t to) {
  if (::tcgetpgrp(STDIN_FILENO) == from) ::tcsetpgrp(STDIN_FILENO, to);
}

// There are no threads here.
void set_variable(const std::string& name, const std::string& value) {
  ::setenv(name.c_str(), value.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace

GuardProcess::GuardProcess(GuardedCommand command, OnLost on_lost, int socket, sigset_t before)
    : command_(std::move(command)), on_lost_(on_lost), socket_(socket), before_(before) {
  runner_group_ = ::getpgrp();
  ::setpgid(0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_NAME, "shared-lock-gd");
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  children_ = ::signalfd(-1, &child, SFD_CLOEXEC);
  timer_ = ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
  if (children_ < 0 || timer_ < 0) ::_exit(EXIT_FAILURE);
}

void GuardProcess::run() {
  for (;;) {
    std::array<pollfd, 3> events{{{alone_ ? -1 : socket_, POLLIN, 0}, {children_, POLLIN, 0}, {timer_, POLLIN, 0}}};
    if (::poll(events.data(), events.size(), wants_terminal_ ? kTerminalLookMs : -1) < 0) continue;
    if (wants_terminal_) offer_terminal();
    if (events[2].revents != 0) on_time();
    if (events[1].revents != 0) on_child();
    if (events[0].revents != 0) on_socket();
  }
}

void GuardProcess::on_socket() {
  GuardOrder order;
  if (::recv(socket_, &order, sizeof order, 0) != sizeof order) {
    alone_ = true;
    if (!started_) ::_exit(EXIT_SUCCESS);
    if (on_lost_ != OnLost::ignore) kill_all(/*lost=*/true);
    return;
  }
  switch (order.kind) {
    case GuardOrder::Kind::start:
      start(order);
      break;
    case GuardOrder::Kind::deadline:
      terminate_at_ = order.terminate_at;
      kill_at_ = order.kill_at;
      arm();
      break;
    case GuardOrder::Kind::signal:
      // Once the command itself has ended, what it left behind has no group that is surely its own.
      if (pid_ > 0) ::kill(-group_, order.signal);
      if (pid_ < 0 && order.signal != SIGCONT) kill_all(/*lost=*/false);
      break;
    case GuardOrder::Kind::kill:
      kill_all(/*lost=*/true);
      break;
  }
}

// Absolute times: one that has passed comes at once, also after a sleep of the machine.
void GuardProcess::arm() const {
  if (on_lost_ == OnLost::ignore) return;
  std::int64_t due = terminated_ || on_lost_ == OnLost::kill ? kill_at_ : terminate_at_;
  itimerspec at{};
  at.it_value.tv_sec = due / kSecond;
  at.it_value.tv_nsec = due % kSecond;
  ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
}

void GuardProcess::on_time() {
  std::uint64_t expirations = 0;
  if (::read(timer_, &expirations, sizeof expirations) < 0) return;
  std::int64_t now = boot_now();
  if (now >= kill_at_) {
    kill_all(/*lost=*/true);
    return;
  }
  bool terminate = on_lost_ == OnLost::terminate && now >= terminate_at_;
  if (terminate && !terminated_ && pid_ > 0) {
    ::kill(-group_, SIGTERM);
    ::kill(-group_, SIGCONT);
  }
  terminated_ = terminated_ || terminate;
  arm();
}

void GuardProcess::start(const GuardOrder& order) {
  started_ = true;
  terminate_at_ = order.terminate_at;
  kill_at_ = order.kill_at;
  // After a standstill between the grant and now, say.
  if (boot_now() >= kill_at_) kill_all(/*lost=*/true);
  std::array<int, 2> failure{};
  if (::pipe2(failure.data(), O_CLOEXEC) != 0) ::_exit(EXIT_FAILURE);
  pid_t guard = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != guard) ::_exit(EXIT_FAILURE);
    become_command(order, failure[1]);
  }
  ::close(failure[1]);
  group_ = pid_;
  int why = pid_ < 0 ? errno : 0;
  bool failed = pid_ < 0 || ::read(failure[0], &why, sizeof why) == sizeof why;
  ::close(failure[0]);
  if (failed) {
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    report({.kind = GuardReport::Kind::failed, .value = why});
    ::_exit(EXIT_SUCCESS);
  }
  arm();
}

void GuardProcess::become_command(const GuardOrder& order, int failure_pipe) {
  // ^C and ^Z are then for it alone. Whoever runs in the background does not get the terminal of those in front.
  pass_terminal(runner_group_, ::getpgrp());
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  for (const auto& [name, value] : command_.environment) set_variable(name, value);
  set_variable("SHARED_LOCK_FENCING_TOKEN", std::to_string(order.token));
  std::vector<char*> arguments;
  arguments.reserve(command_.arguments.size() + 1);
  for (const std::string& argument : command_.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  int why = errno;
  [[maybe_unused]] auto written = ::write(failure_pipe, &why, sizeof why);
  ::_exit(EXIT_FAILURE);
}

void GuardProcess::on_child() {
  signalfd_siginfo info{};
  if (::read(children_, &info, sizeof info) < 0) return;
  for (;;) {
    int status = 0;
    pid_t child = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (child == 0) return;
    if (child < 0) break;
    if (child != pid_) continue;
    if (WIFSTOPPED(status)) {
      if (WSTOPSIG(status) == SIGTSTP) refuse_to_stop();
      wants_terminal_ = wants_terminal_ || WSTOPSIG(status) == SIGTTIN || WSTOPSIG(status) == SIGTTOU;
      continue;
    }
    pid_ = -1;
    status_ = status;
    wants_terminal_ = false;
    pass_terminal(group_, runner_group_);
    if (!descendants().empty()) report({.kind = GuardReport::Kind::left, .value = status});
  }
  if (!started_ || errno != ECHILD) return;
  report({.kind = GuardReport::Kind::ended, .value = status_});
  ::_exit(EXIT_SUCCESS);
}

// ^Z at the terminal would leave the user with neither the shell, since the runner goes on to keep the lock, nor the
// command.
void GuardProcess::refuse_to_stop() const {
  if (::tcgetpgrp(STDIN_FILENO) != group_) return;
  std::fputs("shared-lock run: cannot be suspended here: the lock would be lost\n", stderr);
  ::kill(-group_, SIGCONT);
}

// A command in the background stops when it reads from the terminal; the shell that brings us to the front then tells
// nobody.
void GuardProcess::offer_terminal() {
  if (::tcgetpgrp(STDIN_FILENO) != runner_group_) return;
  pass_terminal(runner_group_, group_);
  ::kill(-group_, SIGCONT);
  wants_terminal_ = false;
}

// The report comes when all are gone: the lock must not be released before.
void GuardProcess::kill_all(bool lost) {
  if (!started_) return;
  kill_descendants();
  report({.kind = GuardReport::Kind::ended, .by_guard = lost, .value = status_});
  ::_exit(EXIT_SUCCESS);
}

void GuardProcess::report(const GuardReport& report) const {
  if (!alone_) ::send(socket_, &report, sizeof report, MSG_NOSIGNAL);
}

}  // namespace sharedlock
