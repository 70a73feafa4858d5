#include "cli/runner.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "cli/descendants.h"
#include "cli/exit_codes.h"
#include "cli/held_around.h"
#include "cli/lock_upkeep.h"
#include "cli/say.h"
#include "cli/signal_orders.h"

namespace sharedlock {

namespace {

using client::BootClock;
using client::Grant;

constexpr const char* kRun = "run";

// Signals within this time may be one wish.
constexpr std::chrono::milliseconds kOneWish{50};

void remark(const std::string& text) {
  say(kRun, text);
}

std::int64_t nanoseconds(BootClock::time_point time) {
  return time.time_since_epoch().count();
}

// The guard ends the command this long before the lock could be another's (R7).
GuardOrder order_for(const Grant& grant, GuardOrder::Kind kind) {
  std::chrono::nanoseconds ttl = grant.ttl;
  std::chrono::nanoseconds margin = std::max<std::chrono::nanoseconds>(std::chrono::seconds(1), ttl / 10);
  return {.kind = kind,
          .terminate_at = nanoseconds(grant.sent + ttl * 2 / 3),
          .kill_at = nanoseconds(grant.sent + ttl - margin),
          .token = grant.tokens.front()};
}

bool is_ignored(int signal) {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Signals that are forwarded to the command, and the end of children, as a descriptor to poll. Those ignored from the
// start, as nohup(1) sets it, stay ignored, for us and for the command.
class Signals {
 public:
  Signals() {
    sigset_t taken;
    ::sigemptyset(&taken);
    for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD}) {
      if (!is_ignored(signal)) ::sigaddset(&taken, signal);
    }
    fd_ = ::signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    ::sigaddset(&taken, SIGTTOU);  // we hand on the terminal from the background
    ::pthread_sigmask(SIG_BLOCK, &taken, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() { ::close(fd_); }

  int fd() const { return fd_; }

  // From now on the next terminating signal ends this program. By a handler: the default action spares process 1.
  void let_through() const {
    sigset_t ending;
    ::sigemptyset(&ending);
    for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
      if (is_ignored(signal)) continue;
      ::signal(signal, [](int number) { ::_exit(kExitSignal + number); });
      ::sigaddset(&ending, signal);
    }
    ::pthread_sigmask(SIG_UNBLOCK, &ending, nullptr);
  }

  // The next one to forward; none: its number is 0. One sent twice counts once: timeout(1) sends it to us, and then to
  // our process group.
  SignalOrders::Signal next() {
    for (;;) {
      signalfd_siginfo info{};
      if (::read(fd_, &info, sizeof info) != sizeof info) return {.number = 0, .sender = kKernel};
      SignalOrders::Signal taken{.number = static_cast<std::int32_t>(info.ssi_signo), .sender = sender_of(info)};
      if (taken.number == SIGCHLD) {
        reap();
      } else if (!is_said_twice(taken)) {
        return taken;
      }
    }
  }

 private:
  bool is_said_twice(SignalOrders::Signal taken) {
    auto now = BootClock::now();
    bool is_same = taken.number == last_.number && taken.sender == last_.sender && taken.sender != kKernel;
    bool twice = is_same && now < last_at_ + kOneWish;
    if (twice) return true;
    last_ = taken;
    last_at_ = now;
    return false;
  }

  // As process 1 we inherit processes that nobody else waits for.
  static void reap() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }

  int fd_ = -1;
  SignalOrders::Signal last_{.number = 0, .sender = kKernel};
  BootClock::time_point last_at_;
};

class Runner {
 public:
  explicit Runner(const RunOptions& options) : options_(options) {
    if (!options.command.empty()) {
      GuardedCommand command{.arguments = options.command,
                             .environment = {{"SHARED_LOCK_NAME", options.name},
                                             {"SHARED_LOCK_NAMESPACE", options.namespace_name},
                                             {kHeldVariable, held_under(options.namespace_name, options.name)}},
                             .leaves_descendants = options.close_on_exit};
      guard_.emplace(std::move(command), options.on_lost);
    }
    signals_.emplace();
    woken_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    names_ = {.namespace_name = options.namespace_name, .names = {options.name}, .instance = client::random_instance()};
    client_.emplace(options.server);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner() { ::close(woken_); }

  int run() {
    auto grant = acquire();
    if (interrupted_ != 0) return kExitSignal + interrupted_;
    if (guard_is_gone_) return guard_died();
    if (!grant) return not_acquired(grant.error());
    int code = guard_ ? run_command(*grant) : hold(*grant);
    give_back();
    return code;
  }

 private:
  client::Operations operations() { return client::Operations(*client_); }
  void give_back() {
    auto released = operations().release(names_, kLongestRelease);
    bool left = !released && released.error().code == client::Errc::unavailable;
    if (left) remark("the lock could not be released: " + released.error().message + "; it ends by itself");
  }
  void wake() const {
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(woken_, &one, sizeof one);
  }
  void wait_for_something(int timeout_ms = -1) {
    std::array<pollfd, 4> events{{{woken_, POLLIN, 0},
                                  {signals_->fd(), POLLIN, 0},
                                  {guard_ ? guard_->socket() : -1, POLLIN, 0},
                                  {unprinted_.empty() ? -1 : STDOUT_FILENO, POLLOUT, 0}}};
    ::poll(events.data(), events.size(), timeout_ms);
    if (events[3].revents != 0) print();
    std::uint64_t count = 0;
    [[maybe_unused]] auto read = ::read(woken_, &count, sizeof count);
  }
  // Nothing depends on a stdout that nobody reads.
  void print() {
    ssize_t written = write_at_once(STDOUT_FILENO, unprinted_);
    if (written < 0 && errno == EAGAIN) return;
    unprinted_.erase(0, written < 0 ? std::string::npos : static_cast<std::size_t>(written));
  }

  client::Result<Grant> acquire() {
    client::Result<Grant> grant(client::Error{client::Errc::unavailable, ""});
    std::atomic<bool> ended = false;
    std::jthread asking([&] {
      grant = operations().acquire(names_, options_.ttl, options_.wait);
      ended = true;
      wake();
    });
    auto saying = say_later(kRun, "waiting for " + options_.name + held_around(options_.namespace_name, options_.name));
    while (!ended && interrupted_ == 0 && !guard_is_gone_) {
      wait_for_something();
      interrupted_ = signals_->next().number;
      guard_is_gone_ = guard_ && has_report();  // it has nothing to report yet
    }
    saying = {};
    bool given_up = interrupted_ != 0 || guard_is_gone_;
    if (given_up) client_->stop_acquiring();
    if (interrupted_ != 0) hear_the_second();
    asking.join();
    if (given_up && grant) give_back();
    if (interrupted_ != 0 && !grant && grant.error().code == client::Errc::unavailable) remark(grant.error().message);
    return grant;
  }

  // From now on a second signal ends us at once. One right behind the first does not count: service managers may send
  // SIGHUP behind SIGTERM, and see Signals::next().
  void hear_the_second() {
    auto over = BootClock::now() + kOneWish;
    for (auto now = BootClock::now(); now < over; now = BootClock::now()) {
      wait_for_something(static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(over - now).count()));
      while (signals_->next().number != 0) {
      }
    }
    signals_->let_through();
  }

  int not_acquired(const client::Error& error) const {
    int code = exit_code_of(error.code);
    remark("not acquired: " + error.message +
           (code == kExitNotAcquired ? held_around(options_.namespace_name, options_.name) : ""));
    return code == kExitNotAcquired ? options_.conflict_exit_code.value_or(code) : code;
  }

  int hold(const Grant& grant) {
    std::atomic<bool> lost = false;
    auto on_lost = [&] {
      lost = true;
      wake();
    };
    LockUpkeep upkeep(operations(), names_, grant,
                      {.renewed = [](const Grant&) {}, .lost = on_lost, .trouble = remark});
    unprinted_ = std::to_string(grant.tokens.front()) + '\n';
    while (!lost && signals_->next().number == 0) wait_for_something();
    lost ? signals_->let_through() : hear_the_second();
    if (lost) remark("the lock is lost");
    return lost ? static_cast<int>(kExitLost) : 0;
  }

  int run_command(const Grant& grant) {
    guard_->tell(order_for(grant, GuardOrder::Kind::start));
    std::atomic<std::int64_t> kill_at = order_for(grant, GuardOrder::Kind::start).kill_at;
    auto on_renewed = [&](const Grant& renewed) {
      GuardOrder order = order_for(renewed, GuardOrder::Kind::deadline);
      guard_->tell(order);
      kill_at = order.kill_at;
    };
    auto on_lost = [&] {
      if (options_.on_lost != OnLost::ignore) {
        guard_->tell({.kind = GuardOrder::Kind::kill});
        kill_at = nanoseconds(BootClock::now());
        wake();
      }
      remark("the lock is lost");
    };
    LockUpkeep upkeep(operations(), names_, grant, {.renewed = on_renewed, .lost = on_lost, .trouble = remark});
    for (;;) {
      std::int64_t left = kill_at + kGuardIsLate - nanoseconds(BootClock::now());
      auto longest = static_cast<int>(std::clamp<std::int64_t>(left / 1'000'000 + 1, 0, 1000));
      wait_for_something(options_.on_lost == OnLost::ignore ? -1 : longest);
      forward_signals();
      if (has_report()) {
        auto report = guard_->read();
        if (!report) return guard_died();
        if (auto code = on_report(*report)) return *code;
        continue;
      }
      bool guard_sleeps = nanoseconds(BootClock::now()) > kill_at + kGuardIsLate;
      if (guard_sleeps && options_.on_lost != OnLost::ignore) return replace_guard();
    }
  }

  void forward_signals() {
    for (auto taken = signals_->next(); taken.number != 0; taken = signals_->next()) {
      guard_->tell({.kind = GuardOrder::Kind::signal, .signal = taken.number, .sender = taken.sender});
    }
  }

  std::optional<int> on_report(const GuardReport& report) {
    switch (report.kind) {
      case GuardReport::Kind::failed:
        take_terminal_back();
        remark(options_.command.front() + ": " + std::generic_category().message(report.value));
        return report.value == ENOENT ? kExitNotFound : kExitNotExecutable;
      case GuardReport::Kind::left:
        remark("the command has ended; the lock is held until what it started has ended, too");
        return std::nullopt;
      case GuardReport::Kind::ended:
        take_terminal_back();
        if (report.by_guard) {
          remark("the command was ended: the lock was lost, or could not be renewed in time");
          return kExitLost;
        }
        if (WIFSIGNALED(report.value)) return kExitSignal + WTERMSIG(report.value);
        return WEXITSTATUS(report.value);
    }
    return kExitSoftware;
  }

  bool has_report() const {
    pollfd reports{guard_->socket(), POLLIN, 0};
    return ::poll(&reports, 1, 0) > 0;
  }

  // The guard was stopped: we do its work.
  int replace_guard() {
    ::kill(guard_->pid(), SIGKILL);
    kill_descendants();
    take_terminal_back();
    remark("the command was ended: the lock could not be renewed in time");
    return kExitLost;
  }

  // The kernel has killed the command; its descendants are ours now, and must not outlive the lock.
  int guard_died() {
    kill_descendants();
    take_terminal_back();
    remark(std::string("the guard process was killed") + (guard_is_gone_ ? "" : ", and the command with it"));
    return kExitSignal + SIGKILL;
  }

  // From a group of the command that no longer exists. A living group is someone else's, or has given it back.
  static void take_terminal_back() {
    pid_t front = ::tcgetpgrp(STDIN_FILENO);
    if (front > 0 && ::kill(-front, 0) != 0 && errno == ESRCH) ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
  }

  static constexpr std::chrono::milliseconds kLongestRelease{2000};
  static constexpr std::int64_t kGuardIsLate = 200'000'000;

  const RunOptions& options_;
  std::optional<Guard> guard_;  // forked before there are threads
  std::optional<Signals> signals_;
  int woken_ = -1;
  client::Names names_;
  std::optional<client::Client> client_;
  int interrupted_ = 0;
  bool guard_is_gone_ = false;  // while it had nothing to do
  std::string unprinted_;
};

}  // namespace

int run_under_lock(const RunOptions& options) {
  if (!options.command.empty() && !sees_processes()) {
    remark("/proc does not show the processes that a command would start: none is");
    return kExitSoftware;
  }
  Runner runner(options);
  return runner.run();
}

}  // namespace sharedlock
