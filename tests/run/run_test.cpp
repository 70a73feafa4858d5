// `shared-lock run` against a real server, with all that may befall the two.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>

#include "run/commands.h"
#include "support/asking.h"
#include "support/effort.h"
#include "support/eventually.h"
#include "support/server_process.h"
#include "support/slow_link.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// The least TTL, and when a command without renewals is dead.
constexpr double kTtl = 5;
constexpr double kKilledAfter = 4;

class RunTest : public testing::Test {
 protected:
  void TearDown() override {
    commands.create("end");
    if (HasFailure()) std::printf("%s\n%s\n", server->err().c_str(), commands.text("ticks").c_str());
  }

  static ProcessOptions serving(const TemporaryDirectory& data) {
    return {.environment = ServerProcess::open_memory({{"SHARED_LOCK_STORAGE_TYPE", "embedded"},
                                                       {"SHARED_LOCK_DATA_DIR", data / "data"},
                                                       {"SHARED_LOCK_ADMIN_TOKEN", "the-token-of-the-admin"}})};
  }
  ProcessOptions run_of(std::vector<std::string> arguments) const {
    return running("http://127.0.0.1:" + std::to_string(server->port()), std::move(arguments));
  }
  ProcessOptions shell(const std::string& text, std::vector<std::string> flags = {"--ttl", "5s"}) const {
    std::vector<std::string> arguments{"demo"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.insert(arguments.end(), {"--", "/bin/sh", "-c", text});
    return run_of(std::move(arguments));
  }
  // The same, started by a parent that ignores that signal.
  static ProcessOptions ignoring(const std::string& signal, ProcessOptions options) {
    options.arguments.insert(options.arguments.begin(), {"--ignore-signal=" + signal, SHAREDLOCK_PROGRAM});
    options.program = "/usr/bin/env";
    return options;
  }
  int exit_code(std::vector<std::string> arguments) const {
    return run_program(run_of(std::move(arguments))).exit_code;
  }
  // The runner's only child.
  static pid_t guard_of(const Process& run) {
    std::string id = std::to_string(run.pid());
    pid_t guard = -1;
    std::ifstream("/proc/" + id + "/task/" + id + "/children") >> guard;
    return guard;
  }
  static double processor_seconds(const Process& run) {
    std::string text;
    std::getline(std::ifstream("/proc/" + std::to_string(run.pid()) + "/stat"), text);
    std::istringstream words(text.substr(text.rfind(')')));
    std::vector<std::string> all{std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
    return static_cast<double>(std::stoll(all.at(12)) + std::stoll(all.at(13))) /
           static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  std::string look() const { return server->ask("GET", "/v1/default/lock/demo").body; }
  int force_release() const {
    const char* headers = "X-Admin-Token: the-token-of-the-admin\r\nX-Reason: test\r\n";
    return server->ask("DELETE", "/v1/default/lock/demo", "", headers).status;
  }
  bool is_queued(int count) const { return look().find("\"waiters\":" + std::to_string(count)) != std::string::npos; }
  bool is_held() const { return look().find("owner") != std::string::npos; }

  TemporaryDirectory data;
  Commands commands;
  std::optional<ServerProcess> server{serving(data)};
};

TEST_F(RunTest, ExitCodes) {
  EXPECT_EQ(exit_code({"demo", "--", "/bin/sh", "-c", "exit 5"}), 5);
  EXPECT_EQ(exit_code({"demo", "--", "/bin/sh", "-c", "kill -USR1 $$"}), 128 + SIGUSR1);
  EXPECT_EQ(exit_code({"demo", "--", "/nowhere/at/all"}), 127);
  EXPECT_EQ(exit_code({"demo", "--", "/etc/passwd"}), 126);
  EXPECT_EQ(exit_code({"x", "--", "true"}), 64);
  EXPECT_EQ(exit_code({"demo", "--ttl", "4s", "--", "true"}), 64);
  EXPECT_EQ(exit_code({"demo", "--nonsense", "--", "true"}), 64);
  EXPECT_EQ(exit_code({"demo", "true"}), 64);
  EXPECT_EQ(exit_code({"demo", "--server", "nonsense", "--", "true"}), 64);
  EXPECT_EQ(exit_code({"demo", "--wait", "0", "--server", "http://127.0.0.1:1", "--", "true"}), 69);
  EXPECT_FALSE(is_held());
}

TEST_F(RunTest, TerminalControlSequencesAreNotPrinted) {
  auto ended = run_program(run_of({"demo", "--", "/nowhere\xC2\x9B/\xE2\x80\xAE"}));
  EXPECT_EQ(ended.exit_code, 127);
  EXPECT_THAT(ended.err, testing::StartsWith("shared-lock run: /nowhere?/?: "));
}

TEST_F(RunTest, HeldByAnotherIs75OrAsAskedFor) {
  Process holder(shell("echo 1 > " + commands.file("up") + "; exec sleep 100"));
  ASSERT_TRUE(commands.appears("up"));
  EXPECT_EQ(exit_code({"demo", "--wait", "0", "--", "true"}), 75);
  EXPECT_EQ(exit_code({"demo", "--wait", "1s", "--conflict-exit-code", "3", "--", "true"}), 3);
}

TEST_F(RunTest, CommandFindsItsTokenAndHasStandardOutputToItself) {
  Process run(shell("echo $SHARED_LOCK_FENCING_TOKEN $SHARED_LOCK_NAMESPACE $SHARED_LOCK_NAME; echo 1 > " +
                    commands.file("up") + "; exec sleep 100"));
  ASSERT_TRUE(commands.appears("up"));
  std::string out = run.out();
  EXPECT_THAT(out, testing::EndsWith(" default demo\n"));
  EXPECT_THAT(look(), HasSubstr("\"fencingToken\":" + out.substr(0, out.find(' '))));
}

TEST_F(RunTest, SignalsGoToTheCommand) {
  Process run(shell("trap 'exit 9' TERM; echo 1 > " + commands.file("up") + "; while :; do sleep 0.01; done"));
  ASSERT_TRUE(commands.appears("up"));
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 9);
  EXPECT_FALSE(is_held());
}

// As a service manager stops all processes of a service; any of them may get the signal first.
TEST_F(RunTest, ASignalForTheWholeServiceReachesTheCommandOnce) {
  std::string heard = commands.file("heard");
  Process run(shell("trap 'echo TERM >> " + heard + "' TERM; trap 'echo USR1 >> " + heard + "' USR1; echo $$ > " +
                    commands.file("up") + "; " + commands.ticking("it") + "; exit 6"));
  ASSERT_TRUE(eventually([&] { return commands.text("up").ends_with('\n'); }));
  pid_t command = std::stoi(commands.text("up"));
  pid_t guard = guard_of(run);
  auto count = [&](const std::string& word) { return commands.count("heard", word); };
  ASSERT_EQ(::kill(command, SIGTERM), 0);
  ASSERT_TRUE(eventually([&] { return count("TERM") == 1; }));
  ASSERT_EQ(::kill(guard, SIGTERM), 0);
  run.signal(SIGTERM);
  // A later signal, which arrives behind it, shows that nothing more is on its way.
  run.signal(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return count("USR1") == 1; }));
  run.signal(SIGTERM);
  ASSERT_EQ(::kill(guard, SIGTERM), 0);
  ASSERT_EQ(::kill(command, SIGTERM), 0);
  run.signal(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return count("USR1") == 2; }));
  commands.create("end");
  EXPECT_EQ(run.wait(), 6);
  EXPECT_EQ(count("TERM"), 2) << commands.text("heard");
}

// The command has ended by its own signal before the runner's is known.
TEST_F(RunTest, ASignalForTheWholeServiceLeavesWhatTheCommandLeft) {
  std::string daemon = "(setsid sh -c 'trap : TERM; " + commands.ticking("daemon") + "' &); ";
  Process run(
      shell(daemon + "trap 'exit 7' TERM; echo $$ > " + commands.file("up") + "; while :; do sleep 0.01; done"));
  ASSERT_TRUE(eventually([&] { return commands.text("up").ends_with('\n') && commands.has_ticks_of("daemon"); }));
  pid_t guard = guard_of(run);
  ASSERT_EQ(::kill(std::stoi(commands.text("up")), SIGTERM), 0);
  ASSERT_EQ(::kill(guard, SIGTERM), 0);
  ASSERT_TRUE(eventually([&] { return run.err().find("the command has ended") != std::string::npos; }));
  run.signal(SIGTERM);
  double sent = Commands::now();
  EXPECT_TRUE(eventually([&] { return commands.last_tick("daemon") > sent + 1.5; })) << "it lives on";
  EXPECT_TRUE(is_held());
  ASSERT_EQ(::kill(guard, SIGTERM), 0);
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 7) << run.err();
  double ended = Commands::now();
  EXPECT_LE(commands.last_tick("daemon"), ended);
  EXPECT_FALSE(is_held());
}

// timeout(1) sends its signal to its child, and then to its process group. Tried again if the machine is too busy for
// both to come at once.
TEST_F(RunTest, ASignalThatIsSentTwiceAtOnceReachesTheCommandOnce) {
  std::string heard = commands.file("heard");
  Process run(shell("trap 'echo TERM >> " + heard + "' TERM; trap 'echo USR1 >> " + heard + "' USR1; " +
                    commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  std::string runner = std::to_string(run.pid());
  // The second one comes when the first one is taken.
  std::string twice = "kill -TERM " + runner + "; while grep -q '^ShdPnd:.*[1-9a-f]' /proc/" + runner +
                      "/status; do :; done; kill -TERM " + runner;
  bool at_once = false;
  for (int round = 1; !at_once && round < 50; ++round) {
    auto before = commands.count("heard", "TERM");
    double begun = Commands::now();
    run_program({.program = "/bin/sh", .arguments = {"-c", twice}, .environment = {{"PATH", "/usr/bin:/bin"}}});
    at_once = Commands::now() < begun + 0.04;
    ASSERT_TRUE(eventually([&] { return commands.count("heard", "TERM") > before; }));
    run.signal(SIGUSR1);  // comes behind them
    ASSERT_TRUE(eventually([&] { return commands.count("heard", "USR1") == round; }));
    if (at_once) {
      EXPECT_EQ(commands.count("heard", "TERM"), before + 1);
    }
  }
  EXPECT_TRUE(at_once);
  commands.create("end");
  EXPECT_EQ(run.wait(), 0);
}

// On a busy machine the runner may get a signal much later than the other processes.
TEST_F(RunTest, ASignalThatTheRunnerHearsLateReachesTheCommandOnce) {
  std::string heard = commands.file("heard");
  Process run(shell("trap 'echo TERM >> " + heard + "' TERM; trap 'echo USR1 >> " + heard + "' USR1; echo $$ > " +
                    commands.file("up") + "; " + commands.ticking("it") + "; exit 6"));
  ASSERT_TRUE(eventually([&] { return commands.text("up").ends_with('\n'); }));
  ASSERT_EQ(::kill(std::stoi(commands.text("up")), SIGTERM), 0);
  ASSERT_TRUE(eventually([&] { return commands.text("heard") == "TERM\n"; }));
  ASSERT_EQ(::kill(guard_of(run), SIGTERM), 0);
  double sent = Commands::now();
  ASSERT_TRUE(eventually([&] { return Commands::now() > sent + 0.3; }));
  run.signal(SIGTERM);
  run.signal(SIGUSR1);
  EXPECT_TRUE(eventually([&] { return commands.text("heard").find("USR1") != std::string::npos; }));
  commands.create("end");
  EXPECT_EQ(run.wait(), 6);
  EXPECT_EQ(commands.text("heard"), "TERM\nUSR1\n");
}

// Before there is a command, all processes of a service are the runner and the guard.
TEST_F(RunTest, ASignalFromBeforeTheCommandDoesNotCountAsItsOwn) {
  Process holder(shell("echo 1 > " + commands.file("held") + "; " + commands.ticking("it")));
  ASSERT_TRUE(commands.appears("held"));
  Process run(shell("trap 'exit 9' TERM; echo 1 > " + commands.file("up") + "; while :; do sleep 0.01; done"));
  ASSERT_TRUE(eventually([&] { return is_queued(1); }));
  ASSERT_EQ(::kill(guard_of(run), SIGTERM), 0);
  commands.create("end");
  ASSERT_TRUE(commands.appears("up"));
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(), 9);
}

// As pkill sends it by the programs' name: it misses the command, so the runner hands it on.
TEST_F(RunTest, ASignalForRunnerAndGuardAloneReachesTheCommand) {
  Process run(shell("trap 'exit 9' TERM; echo 1 > " + commands.file("up") + "; " + commands.ticking("it")));
  ASSERT_TRUE(commands.appears("up"));
  std::string both = std::to_string(guard_of(run)) + " " + std::to_string(run.pid());
  ASSERT_EQ(run_program({.program = "/bin/sh", .arguments = {"-c", "kill -TERM " + both}}).exit_code, 0);
  EXPECT_EQ(run.wait(), 9);
}

// As under nohup(1).
TEST_F(RunTest, SignalsThatWereIgnoredStayIgnored) {
  Process run(ignoring("HUP", shell("trap 'echo 1 > " + commands.file("usr") + "' USR1; echo 1 > " +
                                    commands.file("up") + "; " + commands.ticking("it") + "; exit 6")));
  ASSERT_TRUE(commands.appears("up"));
  run.signal(SIGHUP);
  run.signal(SIGUSR1);  // comes behind the other
  ASSERT_TRUE(commands.appears("usr"));
  commands.create("end");
  EXPECT_EQ(run.wait(), 6);
}

// The end of the command is noticed, though the kernel reports none to a process that ignores SIGCHLD.
TEST_F(RunTest, TheEndIsNoticedThoughTheParentIgnoresItsChildren) {
  Process run(ignoring("CHLD", shell("exit 5")));
  EXPECT_EQ(run.wait(), 5);
  EXPECT_FALSE(is_held());
}

TEST_F(RunTest, ASignalEndsTheWaitInTheQueue) {
  Process holder(shell("exec sleep 100"));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  Process waiter(shell("true"));
  ASSERT_TRUE(eventually([&] { return look().find("\"waiters\":1") != std::string::npos; }));
  waiter.signal(SIGTERM);
  EXPECT_EQ(waiter.wait(), 128 + SIGTERM);
  EXPECT_TRUE(eventually([&] { return look().find("\"waiters\":1") == std::string::npos; }));
}

// A server that does not answer delays neither a try, nor a wait, nor the end of either.
TEST_F(RunTest, AHangingServerDoesNotDelayTheEnd) {
  Process holder(shell("exec sleep 100"));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  Process interrupted(shell("true"));
  Process interrupted_twice(shell("true"));
  Process interrupted_by_both(shell("true"));
  ASSERT_TRUE(eventually([&] { return is_queued(3); }));
  server->process().stop();
  double begun = Commands::now();
  Process trying(shell("true", {"--ttl", "5s", "--wait", "0", "--patience", "1s"}));
  interrupted.signal(SIGTERM);
  interrupted_twice.signal(SIGTERM);
  // One wish: as a service manager sends them.
  interrupted_by_both.signal(SIGTERM);
  interrupted_by_both.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return !interrupted_twice.wait(std::chrono::milliseconds(100)); }));
  interrupted_twice.signal(SIGTERM);
  EXPECT_EQ(interrupted_twice.wait(), 128 + SIGTERM);
  EXPECT_LE(Commands::now() - begun, 1.5) << "the second signal ends it at once";
  EXPECT_EQ(interrupted.wait(), 128 + SIGTERM);
  EXPECT_LE(Commands::now() - begun, 4) << "2 s to give back what it may have taken";
  EXPECT_THAT(interrupted.err(), HasSubstr("could not be given back, and ends by itself within 5s"));
  EXPECT_THAT(interrupted_by_both.wait(), testing::AnyOf(128 + SIGTERM, 128 + SIGHUP));
  EXPECT_THAT(interrupted_by_both.err(), HasSubstr("could not be given back")) << "no second signal came";
  EXPECT_EQ(trying.wait(), 69);
  EXPECT_LE(Commands::now() - begun, 8);
  server->process().resume();
}

TEST_F(RunTest, WithoutACommandItHoldsUntilASignal) {
  Process run(run_of({"demo"}));
  ASSERT_TRUE(eventually([&] { return run.out().ends_with('\n'); }));
  EXPECT_THAT(look(), HasSubstr("\"fencingToken\":" + run.out().substr(0, run.out().size() - 1)));
  run.signal(SIGINT);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_FALSE(is_held());
}

// The pipe that it writes its token to is full.
TEST_F(RunTest, WithoutACommandASignalEndsItThoughItsOutputIsFull) {
  std::string pipe = commands.file("pipe");
  ProcessOptions options =
      run_of({"-c", "mkfifo " + pipe + "; exec 3<>" + pipe + "; head -c 65536 /dev/zero >&3; exec " +
                        SHAREDLOCK_PROGRAM + " run demo --ttl 5s >&3"});
  options.arguments.erase(options.arguments.begin());
  options.program = "/bin/sh";
  Process run(options);
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  std::string granted = look();
  ASSERT_TRUE(eventually([&] { return is_held() && look() != granted; })) << "it is renewed";
  run.signal(SIGTERM);
  EXPECT_EQ(run.wait(seconds(10)), 0) << run.err();
  EXPECT_FALSE(is_held());
}

TEST_F(RunTest, HoldsUntilWhatTheCommandLeftBehindIsGone) {
  Process run(
      shell("(setsid sh -c 'echo 1 > " + commands.file("up") + "; " + commands.ticking("daemon") + "' &); exit 4"));
  ASSERT_TRUE(commands.appears("up"));
  // Longer than the TTL: it is renewed, too.
  double begin = Commands::now();
  ASSERT_TRUE(eventually([&] { return Commands::now() > begin + kTtl + 0.5; }));
  EXPECT_TRUE(is_held());
  commands.create("end");
  EXPECT_EQ(run.wait(), 4);
  EXPECT_FALSE(is_held());
}

TEST_F(RunTest, CloseOnExitReleasesThoughADaemonLives) {
  Process run(shell("(setsid sh -c '" + commands.ticking("daemon") + "' &); while [ ! -e " + commands.file("ticks") +
                        " ]; do sleep 0.01; done; exit 4",
                    {"--ttl", "5s", "--close-on-exit"}));
  EXPECT_EQ(run.wait(), 4) << run.err();
  EXPECT_FALSE(is_held());
  double ended = Commands::now();
  EXPECT_TRUE(eventually([&] { return commands.last_tick("daemon") > ended; })) << "it lives on";
}

// Before the command has ended, what it started is its own as ever.
TEST_F(RunTest, CloseOnExitEndsAllWhenTheLockIsLost) {
  Process run(shell("(setsid sh -c '" + commands.ticking("daemon") + "' &); " + commands.ticking("it"),
                    {"--ttl", "5s", "--close-on-exit"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("daemon") && commands.has_ticks_of("it"); }));
  ASSERT_EQ(force_release(), 200);
  EXPECT_EQ(run.wait(), 76) << run.err();
  double ended = Commands::now();
  ASSERT_TRUE(eventually([&] { return Commands::now() > ended + 0.2; }));
  EXPECT_LE(commands.last_tick("daemon"), ended);
}

TEST_F(RunTest, ARunOfTheSameNameInItselfSaysSo) {
  std::string inner = std::string(SHAREDLOCK_PROGRAM) + " run demo --wait 0 -- true; ";
  std::string between = std::string(SHAREDLOCK_PROGRAM) + " run other -- /bin/sh -c '" + inner + "'; ";
  std::string waiting = "exec " + std::string(SHAREDLOCK_PROGRAM) + " run demo --wait 1s -- true";
  auto ended = run_program(shell(between + waiting));
  EXPECT_EQ(ended.exit_code, 75);
  EXPECT_THAT(ended.err, HasSubstr("waiting for demo: the `shared-lock run` around this one holds it"));
  EXPECT_THAT(ended.err, testing::ContainsRegex("not acquired: .*: the `shared-lock run` around this one holds it"));
  EXPECT_THAT(run_program(shell("exec " + std::string(SHAREDLOCK_PROGRAM) + " run third -- true")).err,
              testing::Not(HasSubstr("around this one")));
  std::string acquire = std::string(SHAREDLOCK_PROGRAM) + " acquire ";
  auto taken = run_program(shell(acquire + "third --wait 1s; exec " + acquire + "demo --wait 1s"));
  EXPECT_EQ(taken.exit_code, 75);
  EXPECT_THAT(taken.err, testing::StartsWith("shared-lock acquire: waiting for demo: the `shared-lock run` around"));
}

// The command ignores SIGTERM, and has a daemon in a session of its own. Both end before the waiter gets the lock.
TEST_F(RunTest, StoppedRunner) {
  Process first(
      shell("trap '' TERM; (setsid sh -c '" + commands.ticking("first") + "' &); " + commands.ticking("first")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("first"); }));
  Process second(shell(commands.ticking("second")));
  first.stop();
  EXPECT_TRUE(eventually([&] { return commands.has_ticks_of("second"); }, seconds(30)));
  EXPECT_GE(commands.first_tick("second") - commands.last_tick("first"), 0.5);
  first.resume();
  EXPECT_EQ(first.wait(), 76) << first.err();
  commands.create("end");
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.overlap(), "");
}

TEST_F(RunTest, KilledRunner) {
  Process first(
      shell("trap '' TERM; (setsid sh -c '" + commands.ticking("first") + "' &); " + commands.ticking("first")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("first"); }));
  Process second(shell(commands.ticking("second")));
  double killed_at = Commands::now();
  first.signal(SIGKILL);
  EXPECT_TRUE(eventually([&] { return commands.has_ticks_of("second"); }, seconds(30)));
  EXPECT_LE(commands.last_tick("first"), killed_at + 1);
  commands.create("end");
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.overlap(), "");
}

TEST_F(RunTest, ServerGone) {
  Process run(shell("trap 'echo 1 > " + commands.file("term") + "' TERM; " + commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  server->process().signal(SIGKILL);
  server->process().wait();
  double killed_at = Commands::now();
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_TRUE(commands.exists("term"));
  EXPECT_GE(commands.last_tick("it"), commands.first_tick("it") + kKilledAfter - 1.5);
  EXPECT_LE(commands.last_tick("it"), killed_at + kKilledAfter + 0.1);
}

// However the command reacts to its SIGTERM.
TEST_F(RunTest, ServerGoneIs76HoweverTheCommandEnds) {
  std::vector<std::unique_ptr<Process>> runs;
  for (const char* on_term : {"exit 0", "exit 5", "trap - TERM; kill -TERM $$"}) {
    std::string id = "it" + std::to_string(runs.size());
    std::string text = "trap '" + std::string(on_term) + "' TERM; " + commands.ticking(id);
    runs.push_back(std::make_unique<Process>(run_of({"demo-" + id, "--ttl", "5s", "--", "/bin/sh", "-c", text})));
    ASSERT_TRUE(eventually([&] { return commands.has_ticks_of(id); }));
  }
  server->process().signal(SIGKILL);
  for (auto& run : runs) EXPECT_EQ(run->wait(), 76) << run->err();
}

// The command and its daemon are gone before the lock is.
TEST_F(RunTest, KilledGuard) {
  Process first(shell("(setsid sh -c '" + commands.ticking("first") + "' &); " + commands.ticking("first")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("first"); }));
  Process second(shell(commands.ticking("second")));
  ASSERT_EQ(::kill(guard_of(first), SIGKILL), 0);
  EXPECT_EQ(first.wait(), 128 + SIGKILL) << first.err();
  // Long enough for what is left of the first to show.
  EXPECT_TRUE(eventually([&] { return commands.last_tick("second") > commands.first_tick("second") + 0.2; }));
  commands.create("end");
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.overlap(), "");
}

// No process is left that could run the command, so the wait in the queue ends.
TEST_F(RunTest, KilledGuardOfOneThatWaits) {
  Process holder(shell("exec sleep 100"));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  Process waiter(shell("true"));
  ASSERT_TRUE(eventually([&] { return is_queued(1); }));
  ASSERT_EQ(::kill(guard_of(waiter), SIGKILL), 0);
  EXPECT_EQ(waiter.wait(), 128 + SIGKILL) << waiter.err();
  EXPECT_TRUE(eventually([&] { return !is_queued(1); }));
}

// The runner does what a stopped guard does not.
TEST_F(RunTest, StoppedGuard) {
  Process run(shell("trap '' TERM; (setsid sh -c '" + commands.ticking("it") + "' &); " + commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(::kill(guard_of(run), SIGSTOP), 0);
  server->process().signal(SIGKILL);
  double killed_at = Commands::now();
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_LE(commands.last_tick("it"), killed_at + kKilledAfter + 0.5);
}

// The guard does not hear of the loss.
TEST_F(RunTest, ForcedReleaseWhileTheGuardStandsStill) {
  Process run(shell(commands.ticking("it"), {"--ttl", "9s"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(::kill(guard_of(run), SIGSTOP), 0);
  ASSERT_EQ(force_release(), 200);
  double forced_at = Commands::now();
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_LE(commands.last_tick("it"), forced_at + 4.5);  // the next renewal, and some
}

TEST_F(RunTest, ACommandThatEndedInTimeHasItsExitCodeWhenTheRunnerStoodStill) {
  Process run(shell("echo 1 > " + commands.file("up") + "; sleep 0.2; exit 3"));
  ASSERT_TRUE(commands.appears("up"));
  run.stop();
  double begin = Commands::now();
  ASSERT_TRUE(eventually([&] { return Commands::now() > begin + kTtl + 0.5; }));
  run.resume();
  EXPECT_EQ(run.wait(), 3) << run.err();
}

// Arguments that the command line's parser would take apart.
TEST_F(RunTest, WordsOfTheCommandStayAsTheyAre) {
  auto ended = run_program(run_of({"demo", "--", "/usr/bin/printf", "<%s>", "[a,b]", "", "--", "--help", "{}", "[c]"}));
  EXPECT_EQ(ended.out, "<[a,b]><><--><--help><{}><[c]>") << ended.err;
}

TEST_F(RunTest, ServerGoneWithoutSigterm) {
  Process run(shell("trap 'echo 1 > " + commands.file("term") + "' TERM; " + commands.ticking("it"),
                    {"--ttl", "5s", "--on-lost", "kill"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  server->process().signal(SIGKILL);
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_FALSE(commands.exists("term"));
}

// A small pipe without a reader, full or still empty.
class FullPipe {
 public:
  explicit FullPipe(bool is_full = true) {
    constexpr int kPage = 4096;
    EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK), 0);
    EXPECT_GE(::fcntl(ends_[1], F_SETPIPE_SZ, kPage), kPage);
    while (is_full && ::write(ends_[1], "text", 4) > 0) {
    }
    EXPECT_EQ(::fcntl(ends_[1], F_SETFL, 0), 0);
  }
  FullPipe(const FullPipe&) = delete;
  FullPipe& operator=(const FullPipe&) = delete;
  ~FullPipe() {
    for (int end : ends_) ::close(end);
  }
  int end() const { return ends_[1]; }

 private:
  std::array<int, 2> ends_{};
};

TEST_F(RunTest, ItsMessagesAreNotRead) {
  FullPipe pipe;
  ProcessOptions options = shell(commands.ticking("it"));
  options.stderr_to = pipe.end();
  Process run(options);
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(force_release(), 200);
  EXPECT_EQ(run.wait(), 76);
  // A message that is longer than the pipe has room for.
  FullPipe page(/*is_full=*/false);
  options = run_of({"demo", "--", std::string(20'000, 'x')});
  options.stderr_to = page.end();
  Process too_long(options);
  EXPECT_EQ(too_long.wait(seconds(10)), 126);
}

// As under a `run` that holds it: else it says nothing.
TEST_F(RunTest, TheMessagesOfAcquireAreNotRead) {
  Process holder(shell(commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  FullPipe pipe;
  ProcessOptions options = run_of({});
  options.environment["SHARED_LOCK_HELD"] = " default/demo";
  options.stderr_to = pipe.end();
  options.arguments = {"acquire", "demo", "--wait", "60s"};
  Process acquire(options);
  options.arguments = {"acquire", "demo", "--wait", "1s"};
  Process in_vain(options);
  EXPECT_EQ(in_vain.wait(seconds(10)), 75);
  commands.create("end");
  EXPECT_EQ(acquire.wait(seconds(10)), 0);
  EXPECT_THAT(acquire.out(), HasSubstr("fencingToken "));
}

// A lock that could not be printed is released, even if the message that says why is not read.
TEST_F(RunTest, AcquireReleasesWhatItCannotPrintThoughItsMessagesAreNotRead) {
  FullPipe pipe;
  for (const char* nowhere : {" > /dev/full", " | true"}) {
    ProcessOptions options = run_of({});
    options.program = "/bin/sh";
    options.stderr_to = pipe.end();
    options.arguments = {"-c",
                         std::string("(sleep 0.2; exec ") + SHAREDLOCK_PROGRAM + " acquire demo --ttl 1h)" + nowhere};
    Process acquire(options);
    EXPECT_TRUE(acquire.wait(seconds(10))) << nowhere;
    EXPECT_TRUE(eventually([&] { return !is_held(); })) << nowhere;
  }
}

TEST_F(RunTest, ServerRestartsInTime) {
  SlowLink link("127.0.0.1", server->port());
  ProcessOptions options = shell(commands.ticking("it"), {"--ttl", "12s"});
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process run(options);
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  server->process().signal(SIGKILL);
  server->process().wait();
  link.lead_to(server->port());
  ASSERT_TRUE(eventually([&] { return run.err().find("trying on") != std::string::npos; }));
  server.emplace(serving(data));
  link.lead_to(server->port());
  EXPECT_TRUE(eventually([&] { return run.err().find("renewed again") != std::string::npos; }));
  commands.create("end");
  EXPECT_EQ(run.wait(), 0) << run.err();
  EXPECT_FALSE(is_held());
}

// Answers that come later than a renewal may take are no renewals.
TEST_F(RunTest, SlowServer) {
  SlowLink link("127.0.0.1", server->port());
  ProcessOptions options = shell("trap '' TERM; " + commands.ticking("first"));
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process first(options);
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("first"); }));
  Process second(shell(commands.ticking("second")));
  link.delay(std::chrono::milliseconds(6000));
  EXPECT_EQ(first.wait(), 76) << first.err();
  EXPECT_TRUE(eventually([&] { return commands.has_ticks_of("second"); }, seconds(30)));
  commands.create("end");
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.overlap(), "");
}

// Waiting requests have taken every connection: renewals get through all the same.
TEST_F(RunTest, SafetyR36_RenewsBesideAnyNumberOfWaiters) {
  server.reset();
  server.emplace(ProcessOptions{.environment = ServerProcess::open_memory(
                                    {{"SHARED_LOCK_MAX_CONNECTIONS", "8"}, {"SHARED_LOCK_MAX_WAITERS", "8"}})});
  Process run(shell(commands.ticking("it"), {"--ttl", "5s"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  std::deque<Asking> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.emplace_back(*server, "/v1/default/lock/demo/acquire",
                         R"({"instanceId":"other-)" + std::to_string(i) + R"(","leaseDuration":9,"wait":60})");
  }
  double full = Commands::now();
  ASSERT_TRUE(eventually([&] { return !run.running() || commands.last_tick("it") > full + kTtl + 1; }));
  for (Asking& other : waiting) EXPECT_TRUE(other.is_silent(0));
  commands.create("end");
  EXPECT_EQ(run.wait(), 0) << run.err();
}

TEST_F(RunTest, AServerThatDrainsIsAskedAgain) {
  Process holder(shell("exec sleep 100"));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  SlowLink link("127.0.0.1", server->port());
  ProcessOptions options = shell("true");
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process waiter(options);
  ASSERT_TRUE(eventually([&] { return look().find("\"waiters\":1") != std::string::npos; }));
  holder.signal(SIGKILL);
  EXPECT_EQ(server->stop(), 0);
  server.emplace(serving(data));
  link.lead_to(server->port());
  EXPECT_EQ(waiter.wait(), 0) << waiter.err();
}

// Longer, with the cuts, than its patience; every cut comes more than a second after the request that it cuts.
TEST_F(RunTest, AWaitOutlastsItsCuts) {
  Process holder(shell(commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  SlowLink link("127.0.0.1", server->port());
  ProcessOptions options = shell("true", {"--ttl", "5s", "--patience", "1s"});
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process waiter(options);
  std::uint64_t before = 0;
  for (int cut = 0; cut < 3; ++cut) {
    ASSERT_TRUE(eventually([&] { return link.delivered() > before && is_queued(1); })) << waiter.err();
    double begin = Commands::now();
    ASSERT_TRUE(eventually([&] { return Commands::now() > begin + 1.3; }));
    before = link.delivered();
    link.lead_to(server->port());
  }
  EXPECT_TRUE(waiter.running()) << waiter.err();
  commands.create("end");
  EXPECT_EQ(waiter.wait(), 0) << waiter.err();
}

// A gateway cuts off the first client in the queue again and again; the second one, without a gateway, does not pass
// it.
TEST_F(RunTest, SafetyR37_AWaitBehindAGatewayThatCutsKeepsItsEntry) {
  Process holder(shell(commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return is_held(); }));
  SlowLink link("127.0.0.1", server->port());
  std::string order = commands.file("order");
  ProcessOptions options = shell("echo first >> " + order);
  options.environment["SHARED_LOCK_URL"] = link.url();
  Process first(options);
  ASSERT_TRUE(eventually([&] { return is_queued(1); }));
  Process second(shell("echo second >> " + order));
  ASSERT_TRUE(eventually([&] { return is_queued(2); }));
  for (int cut = 0; cut < 3; ++cut) {
    std::uint64_t before = link.delivered();
    link.lead_to(server->port());
    ASSERT_TRUE(eventually([&] { return link.delivered() > before; })) << first.err();
  }
  EXPECT_TRUE(is_queued(2));
  commands.create("end");
  EXPECT_EQ(first.wait(), 0) << first.err();
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_EQ(commands.text("order"), "first\nsecond\n");
}

// Times are counted by a clock that can't be set.
TEST_F(RunTest, AWallClockThatJumpsChangesNothing) {
  auto set_clock = [this](const std::string& offset) { std::ofstream(commands.file("clock")) << offset << '\n'; };
  set_clock("+0");
  ProcessOptions options = shell(commands.ticking("it"));
  // A sanitizer refuses to start where another library is preloaded before it.
  if (kFullSpeed) options.environment["LD_PRELOAD"] = SHAREDLOCK_FAKETIME;
  options.environment["FAKETIME_TIMESTAMP_FILE"] = commands.file("clock");
  options.environment["FAKETIME_NO_CACHE"] = "1";
  options.environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1";
  Process run(options);
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  double begun = Commands::now();
  for (const char* offset : {"+2h", "-2h"}) {
    set_clock(offset);
    begun += kTtl + 1;
    EXPECT_TRUE(eventually([&] { return commands.last_tick("it") > begun; })) << offset << run.err();
  }
  commands.create("end");
  EXPECT_EQ(run.wait(), 0) << run.err();
}

TEST_F(RunTest, ForcedReleaseKillsAtOnce) {
  Process run(shell("trap 'echo 1 > " + commands.file("term") + "' TERM; " + commands.ticking("it")));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(force_release(), 200);
  EXPECT_EQ(run.wait(), 76) << run.err();
  EXPECT_THAT(run.err(), HasSubstr("the lock is lost"));
  EXPECT_FALSE(commands.exists("term"));
}

TEST_F(RunTest, LostIsIgnoredWhenAskedTo) {
  Process run(shell(commands.ticking("it") + "; exit 6", {"--ttl", "5s", "--on-lost", "ignore"}));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  ASSERT_EQ(force_release(), 200);
  EXPECT_TRUE(eventually([&] { return run.err().find("the lock is lost") != std::string::npos; }));
  // Past its time, the runner has nothing to do but wait.
  double begun = Commands::now();
  ASSERT_TRUE(eventually([&] { return Commands::now() > begun + kTtl; }));
  double used = processor_seconds(run);
  ASSERT_TRUE(eventually([&] { return Commands::now() > begun + kTtl + 2; }));
  EXPECT_LE(processor_seconds(run) - used, 0.2);
  commands.create("end");
  EXPECT_EQ(run.wait(), 6) << run.err();
}

}  // namespace
}  // namespace sharedlock::test
