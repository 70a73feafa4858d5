// What becomes of signals under `shared-lock run`: what the guard decides, and the guard alone with real processes.
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "cli/guard.h"
#include "cli/signal_orders.h"
#include "run/boot_time.h"

namespace sharedlock::test {
namespace {

constexpr std::int32_t kManager = 77;  // a process

// The state of both, and the decision: "15" goes to the command, "(15)" it has got already, "15!" ends what is left.
class SignalForAll : public testing::Test {
 protected:
  std::string decided(std::int64_t now) {
    std::string text;
    for (const SignalOrders::Due& due : orders_.due(now)) {
      std::string number = std::to_string(due.number);
      if (!text.empty()) text += ' ';
      text += due.for_all ? '(' + number + ')' : number;
      if (due.ends_rest) text += '!';
    }
    return text;
  }
  void ordered(int number, std::int64_t now, std::int32_t sender = kManager) {
    orders_.ordered({.number = number, .sender = sender}, /*may_be_for_all=*/sender == kManager, now);
  }
  void got(int number, std::int64_t now, std::int32_t sender = kManager) {
    orders_.got({.number = number, .sender = sender}, now);
  }

  SignalOrders orders_;
};

TEST_F(SignalForAll, ASignalThatTheCommandAlreadyGotIsNotSentAgain) {
  got(SIGTERM, 0);
  ordered(SIGTERM, 1);
  EXPECT_EQ(decided(1), "(15)");
  ordered(SIGTERM, 2);
  EXPECT_EQ(decided(3), "") << "the guard's counts once";
  EXPECT_TRUE(orders_.waits());
  EXPECT_EQ(decided(kSecond / 2), "15") << "nobody else has sent it there";
  EXPECT_FALSE(orders_.waits());
}

TEST_F(SignalForAll, TheFirstSignalEndsNothingThatTheCommandLeft) {
  for (bool guard_is_first : {true, false}) {
    orders_ = {};
    if (guard_is_first) got(SIGTERM, 0);
    orders_.command_ended(0, 1);  // by a trap, say
    ordered(SIGTERM, 2);
    if (!guard_is_first) {
      EXPECT_EQ(decided(kSecond / 2), "");
      got(SIGTERM, kSecond / 2);
    }
    EXPECT_EQ(decided(kSecond / 2), "(15)");
    EXPECT_EQ(decided(10 * kSecond), "");
    ordered(SIGINT, 10 * kSecond);
    EXPECT_EQ(decided(10 * kSecond), "2!") << "a second one does, whatever its number";
  }
}

TEST_F(SignalForAll, TheFirstSignalMayComeLongAfterTheCommand) {
  orders_.command_ended(0, 0);
  got(SIGTERM, 100 * kSecond);
  ordered(SIGTERM, 100 * kSecond);
  EXPECT_EQ(decided(100 * kSecond), "(15)");
  got(SIGTERM, 101 * kSecond);
  ordered(SIGTERM, 101 * kSecond);
  EXPECT_EQ(decided(101 * kSecond), "15!");
}

TEST_F(SignalForAll, ASecondSignalEndsTheRestIfTheCommandGotTheFirst) {
  ordered(SIGTERM, 0);
  EXPECT_EQ(decided(kSecond), "15");
  orders_.command_ended(SIGTERM, 2 * kSecond);
  got(SIGTERM, 3 * kSecond);
  ordered(SIGTERM, 3 * kSecond);
  EXPECT_EQ(decided(3 * kSecond), "15!");
}

// Some service managers send SIGHUP right after SIGTERM; others use it, repeatedly, to ask for a reload.
TEST_F(SignalForAll, OnlySignalsThatAskToEndCountAsASecond) {
  orders_.command_ended(0, 0);
  for (int number : {SIGTERM, SIGHUP, SIGHUP, SIGUSR1, SIGUSR1}) {
    got(number, kSecond);
    ordered(number, kSecond);
    EXPECT_EQ(decided(kSecond), '(' + std::to_string(number) + ')');
  }
}

TEST_F(SignalForAll, ASignalForTheRunnerAloneEndsTheRestOnceThatIsKnown) {
  orders_.command_ended(0, 0);
  ordered(SIGTERM, kSecond);
  EXPECT_EQ(decided(2 * kSecond - 1), "");
  EXPECT_EQ(decided(2 * kSecond), "15!");
  orders_ = {};
  orders_.command_ended(0, 0);
  ordered(SIGINT, kSecond, kKernel);
  EXPECT_EQ(decided(kSecond), "2!") << "a terminal's are for one process group";
}

// A terminal's end comes to the command from the kernel, and to the runner from the shell.
TEST_F(SignalForAll, TheSignalThatEndedTheCommandEndsNothingElse) {
  orders_.command_ended(SIGHUP, 0);
  ordered(SIGHUP, kSecond / 2);
  EXPECT_EQ(decided(5 * kSecond), "");
  ordered(SIGHUP, 5 * kSecond);
  EXPECT_EQ(decided(6 * kSecond), "1!") << "that was another";
}

TEST_F(SignalForAll, ASignalFromBeforeTheCommandIsNotItsOwn) {
  got(SIGTERM, 0);
  got(SIGUSR1, 0);
  orders_.forget_unless([](int number) { return number == SIGUSR1; });
  ordered(SIGTERM, 1);
  ordered(SIGUSR1, 1);
  EXPECT_EQ(decided(1), "(10)");
  EXPECT_EQ(decided(kSecond), "15");
}

// ---- the guard alone ----

GuardOrder start_for(std::int64_t span) {
  std::int64_t kill_at = boot_now() + span;
  return {.kind = GuardOrder::Kind::start, .terminate_at = kill_at, .kill_at = kill_at, .token = 1};
}

// Sends it to this very process, as if process 1 had.
void get_from_manager(int signal) {
  siginfo_t info{};
  info.si_code = SI_QUEUE;
  info.si_pid = 1;
  ::syscall(SYS_rt_sigqueueinfo, ::getpid(), signal, &info);
}

// What happens around the guard's fork of its command, at the one moment that a test can't hit from outside.
struct AroundFork {
  pid_t test = 0;  // this process; 0: nothing happens
  int before = 0;  // a signal for the guard alone: there is no command yet
  int behind = 0;  // a signal for both
  int command = 0;
} g_around_fork;

bool in_guard() {
  return g_around_fork.test != 0 && ::getppid() == g_around_fork.test;
}
void before_fork() {
  if (in_guard() && g_around_fork.before != 0) get_from_manager(g_around_fork.before);
}
void behind_fork() {
  if (in_guard() && g_around_fork.behind != 0) get_from_manager(g_around_fork.behind);
}
// In the command: not in the guard, which is forked by the test.
void in_forked() {
  if (g_around_fork.test == 0 || in_guard()) return;
  for (int signal : {g_around_fork.behind, g_around_fork.command}) {
    if (signal != 0) get_from_manager(signal);
  }
}

class SignalsAroundTheStart : public testing::Test {
 protected:
  SignalsAroundTheStart() {
    static const int registered = ::pthread_atfork(&before_fork, &behind_fork, &in_forked);
    EXPECT_EQ(registered, 0);
    g_around_fork.test = ::getpid();
  }
  ~SignalsAroundTheStart() override { g_around_fork = {}; }

  static GuardOrder from_manager(int signal) {
    return {.kind = GuardOrder::Kind::signal, .signal = signal, .sender = 1};
  }
  static bool has_report(const Guard& guard) {
    pollfd reports{guard.socket(), POLLIN, 0};
    bool has = ::poll(&reports, 1, 15'000) == 1;
    if (!has) ::kill(guard.pid(), SIGKILL);  // and the command by that
    return has;
  }
  static GuardedCommand shell(const std::string& text) {
    return {.arguments = {"/bin/sh", "-c", text}, .environment = {}};
  }
};

// Sent to all when there was no command yet, and read by the guard when there was.
TEST_F(SignalsAroundTheStart, ASignalRightBeforeTheCommandReachesIt) {
  g_around_fork.before = SIGTERM;
  Guard guard(shell("exec sleep 100"), OnLost::terminate);
  guard.tell(start_for(60 * kSecond));
  guard.tell(from_manager(SIGTERM));
  ASSERT_TRUE(has_report(guard)) << "the command never got it";
  auto report = guard.read();
  ASSERT_TRUE(report);
  EXPECT_TRUE(WIFSIGNALED(report->value) && WTERMSIG(report->value) == SIGTERM) << report->value;
  EXPECT_FALSE(report->by_guard);
  ::waitpid(guard.pid(), nullptr, 0);
}

// Sent to all when the command was there, with all signals blocked.
TEST_F(SignalsAroundTheStart, ASignalBeforeTheExecutionEndsTheCommand) {
  g_around_fork.behind = SIGTERM;
  Guard guard(shell("exec sleep 100"), OnLost::terminate);
  guard.tell(start_for(60 * kSecond));
  ASSERT_TRUE(has_report(guard)) << "it is lost";
  auto report = guard.read();
  ASSERT_TRUE(report);
  EXPECT_TRUE(WIFSIGNALED(report->value) && WTERMSIG(report->value) == SIGTERM) << report->value;
  ::waitpid(guard.pid(), nullptr, 0);
}

// ^Z, say, at the moment at which the command has got the terminal.
TEST_F(SignalsAroundTheStart, AStopBeforeTheExecutionDelaysNothing) {
  g_around_fork.command = SIGTSTP;
  Guard guard(shell("exit 3"), OnLost::terminate);
  guard.tell(start_for(kSecond));
  ASSERT_TRUE(has_report(guard)) << "the guard waits for it";
  auto report = guard.read();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, GuardReport::Kind::ended);
  EXPECT_TRUE(report->by_guard) << "its time was over";
  ::waitpid(guard.pid(), nullptr, 0);
}

}  // namespace
}  // namespace sharedlock::test
