// `shared-lock run` at a terminal, and as the first process of a container.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <optional>

#include "run/commands.h"
#include "support/eventually.h"
#include "support/server_process.h"

namespace sharedlock::test {
namespace {

using testing::HasSubstr;

// A terminal with `shared-lock run demo -- /bin/sh -c TEXT` in front, or a shell.
class Terminal {
 public:
  Terminal(const std::string& url, const std::string& text) {
    std::string variable = "SHARED_LOCK_URL=" + url;
    bool shell = text.empty();
    pid_ = ::forkpty(&master_, nullptr, nullptr, nullptr);
    if (pid_ != 0) return;
    ::putenv(variable.data());
    if (shell) ::execl("/bin/sh", "sh", "-i", nullptr);
    ::execl(SHAREDLOCK_PROGRAM, "shared-lock", "run", "demo", "--ttl", "5s", "--", "/bin/sh", "-c", text.c_str(),
            nullptr);
    ::_exit(1);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    disconnect();
    if (pid_ > 0 && !code_) ::kill(pid_, SIGKILL);
    if (pid_ > 0 && !code_) ::waitpid(pid_, nullptr, 0);
  }

  void type(const std::string& keys) { EXPECT_EQ(::write(master_, keys.data(), keys.size()), std::ssize(keys)); }
  void disconnect() {
    if (master_ >= 0) ::close(master_);
    master_ = -1;
  }
  // Reads on until it shows that.
  bool shows(const std::string& text) {
    return eventually([&] {
      pollfd readable{master_, POLLIN, 0};
      std::array<char, 1000> piece{};
      ssize_t size = ::poll(&readable, 1, 0) == 1 ? ::read(master_, piece.data(), piece.size()) : 0;
      if (size > 0) shown_.append(piece.data(), static_cast<std::size_t>(size));
      return shown_.find(text) != std::string::npos;
    });
  }
  const std::string& shown() const { return shown_; }

  std::optional<int> exit_code() {
    int status = 0;
    bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
    if (ended) code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    return code_;
  }

 private:
  int master_ = -1;
  pid_t pid_ = -1;
  std::string shown_;
  std::optional<int> code_;
};

pid_t only_child_of(pid_t process) {
  std::string id = std::to_string(process);
  pid_t child = -1;
  std::ifstream("/proc/" + id + "/task/" + id + "/children") >> child;
  return child;
}

class RunAtTerminal : public testing::Test {
 protected:
  ~RunAtTerminal() override { commands.create("end"); }
  ServerProcess server{{.environment = ServerProcess::open_memory()}};
  std::string url = "http://127.0.0.1:" + std::to_string(server.port());
  Commands commands;
};

TEST_F(RunAtTerminal, TheCommandReadsFromIt) {
  Terminal terminal(url, "echo ready; read line; echo \"got $line\"; exit 3");
  ASSERT_TRUE(terminal.shows("ready"));
  terminal.type("hello\n");
  EXPECT_TRUE(terminal.shows("got hello"));
  EXPECT_EQ(terminal.exit_code(), 3);
}

TEST_F(RunAtTerminal, InterruptGoesToTheCommand) {
  Terminal terminal(url, "trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(terminal.shows("ready"));
  terminal.type("\x03");
  EXPECT_EQ(terminal.exit_code(), 9);
}

TEST_F(RunAtTerminal, SuspendIsRefused) {
  Terminal terminal(url, "echo ready; read line; echo \"got $line\"");
  ASSERT_TRUE(terminal.shows("ready"));
  terminal.type("\x1a");
  EXPECT_TRUE(terminal.shows("cannot be suspended"));
  terminal.type("hello\n");
  EXPECT_TRUE(terminal.shows("got hello"));
  EXPECT_EQ(terminal.exit_code(), 0);
}

// The guard goes on even if its messages are not read.
TEST_F(RunAtTerminal, SuspendIsRefusedSilentlyIfItsMessagesAreNotRead) {
  Terminal terminal(url, "");
  std::string pipe = commands.file("pipe");
  terminal.type("mkfifo " + pipe + "; exec 3<>" + pipe + "; head -c 65536 /dev/zero >&3\n");
  terminal.type(std::string(SHAREDLOCK_PROGRAM) + " run demo --ttl 5s -- /bin/sh -c " +
                "'echo ready-$((40+1)); read line; echo \"got $line\"' 2>&3\n");
  ASSERT_TRUE(terminal.shows("ready-41")) << terminal.shown();
  terminal.type("\x1a");
  terminal.type("hello\n");
  EXPECT_TRUE(terminal.shows("got hello")) << terminal.shown();
  terminal.type("echo still-$((40+2))\n");
  EXPECT_TRUE(terminal.shows("still-42")) << terminal.shown();
}

TEST_F(RunAtTerminal, InTheBackgroundItLeavesTheTerminalAlone) {
  Terminal terminal(url, "");
  std::string run = std::string(SHAREDLOCK_PROGRAM) + " run demo --ttl 5s -- /bin/sh -c '";
  terminal.type(run + "echo 1 > " + commands.file("up") + "; read line; echo \"got $line\"; exit 3' &\n");
  ASSERT_TRUE(commands.appears("up"));
  terminal.type("echo still-$((40+2))\n");
  EXPECT_TRUE(terminal.shows("still-42"));
  terminal.type("fg\n");
  terminal.type("hello\n");
  EXPECT_TRUE(terminal.shows("got hello")) << terminal.shown();
  terminal.type("echo code-$?\n");
  EXPECT_TRUE(terminal.shows("code-3")) << terminal.shown();
  // A command that ends in the background leaves the terminal alone, too.
  terminal.type(run + "echo 1 > " + commands.file("ended") + "' & wait; echo still-$((41+2))\n");
  EXPECT_TRUE(terminal.shows("still-43")) << terminal.shown();
  EXPECT_TRUE(commands.exists("ended"));
}

// Behind a pipe is a pager, say, that wants the keys.
TEST_F(RunAtTerminal, ThePagerBehindItsPipeKeepsTheTerminal) {
  Terminal terminal(url, "");
  std::string run = std::string(SHAREDLOCK_PROGRAM) + " run demo --ttl 5s -- /bin/sh -c ";
  std::string pager = "read word; read line < /dev/tty; echo \"$word $line\"";
  terminal.type(run + "'echo page; exec sleep 100' | /bin/sh -c '" + pager + "; touch " + commands.file("read") +
                "'\n");
  ASSERT_TRUE(
      eventually([&] { return server.ask("GET", "/v1/default/lock/demo").body.find("owner") != std::string::npos; }));
  terminal.type("one\n");
  EXPECT_TRUE(terminal.shows("page one")) << terminal.shown();
  EXPECT_TRUE(commands.appears("read"));
  terminal.type("\x03");
  terminal.type("echo still-$((40+2))\n");
  EXPECT_TRUE(terminal.shows("still-42")) << terminal.shown();
}

TEST_F(RunAtTerminal, InFrontOfAPipeItHasTheTerminalOnceItReadsFromIt) {
  Terminal terminal(url, "");
  std::string run = std::string(SHAREDLOCK_PROGRAM) + " run demo --ttl 5s -- /bin/sh -c ";
  terminal.type(run + "'echo ready-$((40+1)); read line; echo \"got $line\"' | cat\n");
  ASSERT_TRUE(terminal.shows("ready-41")) << terminal.shown();
  terminal.type("hello\n");
  EXPECT_TRUE(terminal.shows("got hello")) << terminal.shown();
  terminal.type("echo still-$((40+2))\n");
  EXPECT_TRUE(terminal.shows("still-42")) << terminal.shown();
}

TEST_F(RunAtTerminal, HangUpEndsTheCommand) {
  Terminal terminal(url, commands.ticking("it"));
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); }));
  terminal.disconnect();
  EXPECT_EQ(terminal.exit_code(), 128 + SIGHUP);
  EXPECT_EQ(server.ask("GET", "/v1/default/lock/demo").body.find("owner"), std::string::npos);
}

// In a process namespace of its own.
TEST_F(RunAtTerminal, AsTheFirstProcess) {
  auto first_process = [&](const std::string& text) {
    ProcessOptions options = running(url, {"demo", "--", "/bin/sh", "-c", text});
    options.program = "/usr/bin/unshare";
    std::vector<std::string> unshare{"--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"};
    unshare.emplace_back(SHAREDLOCK_PROGRAM);
    options.arguments.insert(options.arguments.begin(), unshare.begin(), unshare.end());
    return run_program(options);
  };
  // An orphan is waited for and reaped.
  auto ended = first_process("(setsid sh -c 'sleep 0.2; echo 1 > " + commands.file("orphan") + "' &); exit 4");
  EXPECT_EQ(ended.exit_code, 4) << ended.err;
  EXPECT_TRUE(commands.exists("orphan"));
  // Signals are heard, though the kernel spares a first process those that it does not handle.
  ended = first_process("trap 'exit 9' TERM; kill -TERM 1; while :; do sleep 0.01; done");
  EXPECT_EQ(ended.exit_code, 9) << ended.err;
}

// A service manager that is outside of the container, and can't be seen there.
TEST_F(RunAtTerminal, ASignalFromOutsideForAllReachesTheCommandOnce) {
  std::string heard = commands.file("heard");
  ProcessOptions options = running(url, {"demo", "--", "/bin/sh", "-c",
                                         "trap 'echo TERM >> " + heard + "' TERM; trap 'echo USR1 >> " + heard +
                                             "' USR1; " + commands.ticking("it") + "; exit 4"});
  options.program = "/usr/bin/unshare";
  options.arguments.insert(options.arguments.begin(), {"--user", "--map-root-user", "--pid", "--fork", "--kill-child",
                                                       "--mount-proc", SHAREDLOCK_PROGRAM});
  Process run(options);
  ASSERT_TRUE(eventually([&] { return commands.has_ticks_of("it"); })) << run.err();
  pid_t runner = only_child_of(run.pid());
  pid_t guard = only_child_of(runner);
  pid_t command = only_child_of(guard);
  ASSERT_EQ(::kill(command, SIGTERM), 0);
  ASSERT_TRUE(eventually([&] { return commands.count("heard", "TERM") == 1; }));
  for (pid_t process : {guard, runner}) ASSERT_EQ(::kill(process, SIGTERM), 0);
  ASSERT_EQ(::kill(runner, SIGUSR1), 0);
  EXPECT_TRUE(eventually([&] { return commands.count("heard", "USR1") == 1; }));
  commands.create("end");
  EXPECT_EQ(run.wait(), 4) << run.err();
  EXPECT_EQ(commands.count("heard", "TERM"), 1);
}

// The kernel also spares it the signals that end other processes, while it gives back what it may have taken.
TEST_F(RunAtTerminal, ASecondSignalEndsTheFirstProcessAtOnce) {
  ProcessOptions options = running(url, {"demo"});
  Process holder(options);
  ASSERT_TRUE(eventually([&] { return holder.out().ends_with('\n'); }));
  options = running(url, {"demo", "--", "true"});
  options.program = "/usr/bin/unshare";
  options.arguments.insert(options.arguments.begin(), {"--user", "--map-root-user", "--pid", "--fork", "--kill-child",
                                                       "--mount-proc", SHAREDLOCK_PROGRAM});
  Process waiter(options);
  ASSERT_TRUE(eventually(
      [&] { return server.ask("GET", "/v1/default/lock/demo").body.find("\"waiters\":1") != std::string::npos; }));
  server.process().stop();
  pid_t runner = only_child_of(waiter.pid());
  ASSERT_EQ(::kill(runner, SIGTERM), 0);
  ASSERT_TRUE(eventually([&] { return !waiter.wait(std::chrono::milliseconds(100)); }));
  ASSERT_EQ(::kill(runner, SIGTERM), 0);
  EXPECT_EQ(waiter.wait(), 128 + SIGTERM);
  EXPECT_EQ(waiter.err().find("could not be given back"), std::string::npos) << waiter.err();
  server.process().resume();
}

// A /proc that shows other processes, or none: what the command starts could not be found.
TEST_F(RunAtTerminal, WithoutAProcOfItsOwnItStartsNothing) {
  ProcessOptions options = running(url, {"demo", "--", "/bin/sh", "-c", "echo 1 > " + commands.file("up")});
  options.program = "/usr/bin/unshare";
  options.arguments.insert(options.arguments.begin(),
                           {"--user", "--map-root-user", "--pid", "--fork", "--kill-child", SHAREDLOCK_PROGRAM});
  auto ended = run_program(options);
  EXPECT_EQ(ended.exit_code, 70) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("/proc"));
  EXPECT_FALSE(commands.exists("up"));
}

}  // namespace
}  // namespace sharedlock::test
