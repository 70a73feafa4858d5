// `shared-lock run` and the signals that it and its processes get, on a real server. See signal_test.cpp for the
// guard's decisions alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>

#include "run/run_fixture.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;

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

}  // namespace
}  // namespace sharedlock::test
