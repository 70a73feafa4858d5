#include "cli/guard_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "cli/descendants.h"
#include "cli/say.h"

namespace sharedlock {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr int kTerminalLookMs = 200;
constexpr int kLookForSignalsMs = 10;

std::int64_t boot_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

// Hands the terminal from one process group to another; not if a third one has it, or we have none. SIGTTOU is blocked
// here.
void pass_terminal(pid_t from, pid_t to) {
  if (::tcgetpgrp(STDIN_FILENO) == from) ::tcsetpgrp(STDIN_FILENO, to);
}

// The signal that ended it, or ended the command it ran, as shells report it; or 0.
int ended_by(int status) {
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  return std::max(WEXITSTATUS(status) - 128, 0);
}

// There are no threads here.
void set_variable(const std::string& name, const std::string& value) {
  ::setenv(name.c_str(), value.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace

GuardProcess::GuardProcess(GuardedCommand command, OnLost on_lost, int socket, sigset_t before)
    : command_(std::move(command)), on_lost_(on_lost), socket_(socket), before_(before) {
  runner_ = ::getppid();
  runner_group_ = ::getpgrp();
  ::setpgid(0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_NAME, "shared-lock-gd");
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  sigset_t heard;
  ::sigemptyset(&heard);
  for (int signal : {SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2}) ::sigaddset(&heard, signal);
  signals_ = ::signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
  timer_ = ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
  if (signals_ < 0 || timer_ < 0) ::_exit(EXIT_FAILURE);
}

void GuardProcess::run() {
  for (;;) {
    std::array<pollfd, 4> events{
        {{alone_ ? -1 : socket_, POLLIN, 0}, {signals_, POLLIN, 0}, {timer_, POLLIN, 0}, {failure_, POLLIN, 0}}};
    if (::poll(events.data(), events.size(), poll_timeout()) < 0) continue;
    if (wants_terminal_) offer_terminal();
    if (events[3].revents != 0) on_exec();
    // Before any order: a command that has ended by now was not ended by us.
    if (events[1].revents != 0) on_signal();
    if (events[2].revents != 0) on_time();
    if (events[0].revents != 0) on_socket();
    hand_on_signals();
  }
}

int GuardProcess::poll_timeout() const {
  if (signal_orders_.waits()) return kLookForSignalsMs;
  return wants_terminal_ ? kTerminalLookMs : -1;
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
      on_signal_order(order);
      break;
    case GuardOrder::Kind::kill:
      kill_all(/*lost=*/true);
      break;
  }
}

// A service manager sends its signal to all processes of a service: then the command already has it. The guard knows
// that by getting the signal too, from the same sender. While the command lives, the guard waits for that only if the
// sender is above the runner: pkill may match runner and guard, but not the command.
void GuardProcess::on_signal_order(const GuardOrder& order) {
  bool is_above_all = order.sender == 1 || order.sender == kOutside;
  bool may_be_for_all = is_above_all || (order.sender > 0 && is_above(order.sender, runner_));
  signal_orders_.ordered({.number = order.signal, .sender = order.sender}, may_be_for_all, boot_now());
}

void GuardProcess::hand_on_signals() {
  for (const SignalOrders::Due& signal : signal_orders_.due(boot_now())) {
    bool has_it = signal.for_all && pid_ > 0 && is_in_control_group_of(pid_, ::getpid());
    if (!has_it && pid_ > 0) ::kill(-group_, signal.number);
    // The command's remaining processes have no group that is surely their own.
    if (signal.ends_rest) kill_all(/*lost=*/false);
  }
}

// Absolute times: one that has passed fires at once, even after a sleep of the machine.
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
  on_child();
  std::int64_t now = boot_now();
  if (now >= kill_at_) {
    kill_all(/*lost=*/true);
    return;
  }
  bool terminate = on_lost_ == OnLost::terminate && now >= terminate_at_;
  if (terminate && !terminated_ && pid_ > 0) {
    by_us_ = true;
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
  // For example after a standstill between the grant and now.
  if (boot_now() >= kill_at_) kill_all(/*lost=*/true);
  std::array<int, 2> go{};
  std::array<int, 2> failure{};
  bool has_pipes = ::pipe2(go.data(), O_CLOEXEC) == 0 && ::pipe2(failure.data(), O_CLOEXEC | O_NONBLOCK) == 0;
  if (!has_pipes) ::_exit(EXIT_FAILURE);
  pid_t guard = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != guard) ::_exit(EXIT_FAILURE);
    ::close(go[1]);
    become_command(order, go[0], failure[1]);
  }
  int why = errno;
  if (pid_ < 0) {
    report({.kind = GuardReport::Kind::failed, .value = why});
    ::_exit(EXIT_SUCCESS);
  }
  group_ = pid_;
  ::setpgid(pid_, pid_);  // here and in the child, whichever is first: signals go to the group
  // A signal sent to all before there was a command has not reached it, even if we read it later; one sent from now on
  // has, and is pending there until the command continues.
  take_signals();
  signal_orders_.forget_unless([this](std::int32_t signal) { return has_pending(pid_, signal); });
  ::close(go[0]);
  ::close(go[1]);
  ::close(failure[1]);
  failure_ = failure[0];
  arm();
}

// In the child, which has all signals blocked: signals that arrive before it has the command's mask stay pending.
void GuardProcess::become_command(const GuardOrder& order, int go, int failure) {
  char none = 0;
  [[maybe_unused]] auto nothing = ::read(go, &none, sizeof none);
  // With the terminal, ^C and ^Z affect only the command. In the background it does not take the terminal from the
  // foreground process group. The pager behind a pipe keeps it, until the command asks for it.
  bool has_terminal = ::tcgetpgrp(STDIN_FILENO) == runner_group_;
  bool behind_pipe = has_terminal && ::isatty(STDOUT_FILENO) == 0 && is_in_pipeline(runner_);
  if (has_terminal && !behind_pipe) pass_terminal(runner_group_, ::getpgrp());
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  for (const auto& [name, value] : command_.environment) set_variable(name, value);
  set_variable("SHARED_LOCK_FENCING_TOKEN", std::to_string(order.token));
  std::vector<char*> arguments;
  arguments.reserve(command_.arguments.size() + 1);
  for (const std::string& argument : command_.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  int why = errno;
  [[maybe_unused]] auto written = ::write(failure, &why, sizeof why);
  ::_exit(EXIT_FAILURE);
}

// start() does not wait for this: a signal may stop or end the child first, or its file system may hang.
void GuardProcess::on_exec() {
  int why = 0;
  ssize_t said = ::read(failure_, &why, sizeof why);
  if (said < 0) return;
  ::close(failure_);
  failure_ = -1;
  if (said == 0) return;
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  report({.kind = GuardReport::Kind::failed, .value = why});
  ::_exit(EXIT_SUCCESS);
}

void GuardProcess::on_signal() {
  take_signals();
  on_child();
}

void GuardProcess::take_signals() {
  signalfd_siginfo info{};
  while (::read(signals_, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    signal_orders_.got({.number = static_cast<std::int32_t>(info.ssi_signo), .sender = sender_of(info)}, boot_now());
  }
}

void GuardProcess::on_child() {
  for (;;) {
    int status = 0;
    pid_t child = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (child == 0) return;
    if (child < 0) break;
    if (child != pid_) continue;
    if (WIFSTOPPED(status)) {
      if (WSTOPSIG(status) == SIGTSTP) refuse_to_stop();
      wants_terminal_ = wants_terminal_ || WSTOPSIG(status) == SIGTTIN || WSTOPSIG(status) == SIGTTOU;
      if (wants_terminal_) offer_terminal();
      continue;
    }
    pid_ = -1;
    if (failure_ >= 0) on_exec();
    status_ = status;
    signal_orders_.command_ended(ended_by(status), boot_now());
    wants_terminal_ = false;
    pass_terminal(group_, runner_group_);
    if (command_.leaves_descendants) break;
    if (!descendants().empty()) report({.kind = GuardReport::Kind::left, .value = status});
  }
  bool left = command_.leaves_descendants && group_ > 0 && pid_ < 0;
  if (!started_ || (errno != ECHILD && !left)) return;
  report({.kind = GuardReport::Kind::ended, .by_guard = by_us_, .value = status_});
  ::_exit(EXIT_SUCCESS);
}

// A ^Z at the terminal would leave the user with neither the shell, since the runner goes on to keep the lock, nor the
// command.
void GuardProcess::refuse_to_stop() const {
  if (::tcgetpgrp(STDIN_FILENO) != group_) return;
  say("run", "cannot be suspended here: the lock would be lost");
  ::kill(-group_, SIGCONT);
}

// A command in the background stops when it reads from the terminal; so does one that left it to the pager behind its
// pipe. No signal tells us when the shell brings us to the foreground.
void GuardProcess::offer_terminal() {
  if (::tcgetpgrp(STDIN_FILENO) != runner_group_) return;
  pass_terminal(runner_group_, group_);
  ::kill(-group_, SIGCONT);
  wants_terminal_ = false;
}

// The report is sent when all are gone: the lock must not be released earlier.
void GuardProcess::kill_all(bool lost) {
  if (!started_) return;
  if (pid_ > 0) on_child();  // we did not end a command that ended by itself
  kill_descendants();
  report({.kind = GuardReport::Kind::ended, .by_guard = by_us_ || lost, .value = status_});
  ::_exit(EXIT_SUCCESS);
}

void GuardProcess::report(const GuardReport& report) const {
  if (!alone_) ::send(socket_, &report, sizeof report, MSG_NOSIGNAL);
}

}  // namespace sharedlock
