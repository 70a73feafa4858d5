// `shared-lock run` against a real server: what it runs, holds, says and answers.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <string>

#include "run/run_fixture.h"
#include "support/eventually.h"

namespace sharedlock::test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

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

// Arguments that the command line's parser would take apart.
TEST_F(RunTest, WordsOfTheCommandStayAsTheyAre) {
  auto ended = run_program(run_of({"demo", "--", "/usr/bin/printf", "<%s>", "[a,b]", "", "--", "--help", "{}", "[c]"}));
  EXPECT_EQ(ended.out, "<[a,b]><><--><--help><{}><[c]>") << ended.err;
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

}  // namespace
}  // namespace sharedlock::test
