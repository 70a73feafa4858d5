#include "base/crash_report.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "base/io_threads.h"
#include "base/log.h"
#include "base/retries.h"
#include "base/task_group.h"
#include "base/thread.h"
#include "base/use_task.h"

namespace sharedlock {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHAREDLOCK_SANITIZED
constexpr bool kSanitized = true;  // which has handlers of its own, and never throws std::bad_alloc
#else
constexpr bool kSanitized = false;
#endif

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// What became of a child process that did `what()`.
struct Ending {
  int status = 0;
  std::string said;  // on stderr

  bool by(int signal) const { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }
  boost::json::object line() const {
    std::string last = said.substr(said.rfind("{\"time\""));
    return boost::json::parse(last.substr(0, last.find('\n'))).as_object();
  }
  std::string member(std::string_view name) const { return std::string(line().at(name).as_string()); }
  std::string frame(std::size_t index) const { return std::string(line().at("backtrace").at(index).as_string()); }
  // The frames from outside to inside.
  std::string backtrace() const { return boost::json::serialize(line().at("backtrace")); }
};

template <class What>
Ending end_of_child(What what, CrashLine form = CrashLine::json, sighandler_t before = SIG_DFL) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::alarm(20);
    std::signal(SIGABRT, before);
    report_crashes(form);
    what();
    ::_exit(0);
  }
  ::close(ends[1]);
  Ending ending;
  char some[4096];
  ssize_t count = 0;
  while ((count = ::read(ends[0], some, sizeof some)) > 0) ending.said.append(some, static_cast<std::size_t>(count));
  ::close(ends[0]);
  EXPECT_EQ(::waitpid(child, &ending.status, 0), child);
  return ending;
}

template <class Run>
void run_in_thread(const char* name, Run run) {
  std::thread([name, run] {
    const NamedThread named(name);
    run();
  }).join();
}

[[gnu::noinline]] void ask_for_a_garbage_size(std::size_t size) {
  if (kSanitized) throw std::bad_alloc();
  std::string text;
  text.reserve(size / 2);  // more than there is, less than a string's limit
  EXPECT_TRUE(text.empty());
}

Task<void> inner() {
  ask_for_a_garbage_size(SIZE_MAX / 2 - 64);
  co_return;
}

// Other exceptions that come and go while the one that counts travels.
struct NoisyEnd {
  NoisyEnd() = default;
  NoisyEnd(const NoisyEnd&) = delete;
  NoisyEnd& operator=(const NoisyEnd&) = delete;
  ~NoisyEnd() {
    try {
      throw std::runtime_error("of no interest");
    } catch (const std::exception&) {
      return;
    }
  }
};

Task<void> outer(Executor executor) {
  co_await asio::post(executor, use_task);
  NoisyEnd noisy;
  co_await inner();
}

void run_in_a_group() {
  IoThreads threads(1);
  TaskGroup group;
  group.spawn(threads.executor(0), outer(threads.executor(0)));
  group.join();
}

TEST(CrashReport, AnExceptionFromATaskIsReportedWithItsTaskAndThrowSite) {
  Ending ending = end_of_child(run_in_a_group);
  EXPECT_TRUE(ending.by(SIGABRT));
  EXPECT_EQ(ending.member("msg"), "the process ends: std::bad_alloc");
  EXPECT_EQ(ending.member("level"), "error");
  EXPECT_THAT(ending.member("task"), HasSubstr("run_in_a_group()@0x"));
  EXPECT_EQ(ending.member("thread"), "io-0");
  EXPECT_THAT(ending.backtrace(), AllOf(HasSubstr("ask_for_a_garbage_size(unsigned long)@0x"), HasSubstr("inner(")));
  EXPECT_THAT(ending.backtrace(), Not(HasSubstr("NoisyEnd")));
}

Task<bool> failing_try() {
  ask_for_a_garbage_size(SIZE_MAX / 2 - 64);
  co_return true;
}

void try_in_the_background() {
  IoThreads threads(1);
  SystemClock clock;
  Log log(LogLevel::error);
  Retries retries(clock, log, "given up");
  BootTime now = clock.boot_now();
  retries.add(threads.executor(0), failing_try, now, now + std::chrono::seconds(10));
  while (true) ::pause();
}

TEST(CrashReport, AnExceptionFromARetryIsReportedWithItsCaller) {
  Ending ending = end_of_child(try_in_the_background);
  EXPECT_TRUE(ending.by(SIGABRT));
  EXPECT_THAT(ending.member("task"), HasSubstr("try_in_the_background"));
  EXPECT_THAT(ending.backtrace(), HasSubstr("ask_for_a_garbage_size"));
}

TEST(CrashReport, AnExceptionFromAThreadIsReportedWithItsThread) {
  Ending ending = end_of_child([] { run_in_thread("a-worker", [] { ask_for_a_garbage_size(SIZE_MAX / 2); }); });
  EXPECT_TRUE(ending.by(SIGABRT));
  EXPECT_EQ(ending.member("thread"), "a-worker");
  EXPECT_THAT(ending.backtrace(), HasSubstr("ask_for_a_garbage_size"));
}

TEST(CrashReport, AnExceptionFromAHandlerIsReported) {
  Ending ending = end_of_child([] {
    IoThreads threads(1);
    asio::post(threads.executor(0), [] { ask_for_a_garbage_size(SIZE_MAX / 2); });
    while (true) ::pause();
  });
  EXPECT_TRUE(ending.by(SIGABRT));
  EXPECT_THAT(ending.backtrace(), HasSubstr("ask_for_a_garbage_size"));
}

[[gnu::noinline]] void do_abort() {
  std::abort();
}

TEST(CrashReport, AnAbortLeavesALineWithABacktrace) {
  Ending ending = end_of_child(do_abort);
  EXPECT_TRUE(ending.by(SIGABRT));
  EXPECT_EQ(ending.member("msg"), "the process ends: SIGABRT");
  EXPECT_THAT(ending.backtrace(), AllOf(HasSubstr("do_abort"), HasSubstr("libc.so.6:abort@0x")));
}

TEST(CrashReport, TheTextFormatIsOneLine) {
  Ending ending = end_of_child(do_abort, CrashLine::text);
  EXPECT_TRUE(ending.by(SIGABRT));
  EXPECT_THAT(ending.said, testing::StartsWith("shared-lock: the process ends: SIGABRT, thread "));
  EXPECT_THAT(ending.said, HasSubstr("do_abort"));
  EXPECT_EQ(std::ranges::count(ending.said, '\n'), 1);
}

TEST(CrashReport, ASignalWithAnotherHandlerIsLeftToIt) {
  Ending ending = end_of_child(do_abort, CrashLine::json, [](int) { ::_exit(7); });
  EXPECT_TRUE(WIFEXITED(ending.status));
  EXPECT_EQ(WEXITSTATUS(ending.status), 7);
  EXPECT_EQ(ending.said, "");
}

// An exception ends the process in its own way, so it is tested too.
TEST(CrashReport, AnExceptionLeavesOtherHandlersInPlaceToo) {
  Ending ending = end_of_child([] { run_in_thread("throws", [] { throw std::runtime_error("of interest"); }); },
                               CrashLine::json, [](int) { ::_exit(7); });
  EXPECT_TRUE(WIFEXITED(ending.status));
  EXPECT_EQ(ending.member("error"), "of interest");
}

TEST(CrashReport, ALongMessageLeavesRoomForTheRest) {
  Ending ending =
      end_of_child([] { run_in_thread("long", [] { throw std::runtime_error(std::string(40'000, 'x')); }); });
  EXPECT_TRUE(ending.by(SIGABRT));
  EXPECT_EQ(ending.member("error"), std::string(4096, 'x'));
  EXPECT_EQ(ending.member("thread"), "long");
  EXPECT_THAT(ending.backtrace(), HasSubstr("@0x"));
}

TEST(CrashReport, AStuckReaderDelaysTheEndByOnlyASecond) {
  auto begun = std::chrono::steady_clock::now();
  Ending ending = end_of_child([] {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_NONBLOCK) != 0) ::_exit(9);
    while (::write(ends[1], "full", 4) > 0) {
    }
    ::fcntl(ends[1], F_SETFL, 0);  // as what is inherited: a write without room waits for ever
    ::dup2(ends[1], STDERR_FILENO);
    std::abort();
  });
  EXPECT_TRUE(ending.by(SIGABRT));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

#ifndef SHAREDLOCK_SANITIZED  // a sanitizer tells of these itself, in its own way

[[gnu::noinline]] int read_through(const volatile int* nowhere) {
  return *nowhere + 1;
}

TEST(CrashReport, AReadOfNothingLeavesALineAndItsOwnStatus) {
  Ending ending = end_of_child([] { ::_exit(read_through(nullptr)); });
  EXPECT_TRUE(ending.by(SIGSEGV));
  EXPECT_EQ(ending.member("msg"), "the process ends: SIGSEGV");
  EXPECT_THAT(ending.backtrace(), HasSubstr("read_through"));
}

[[gnu::noinline]] int deeper(int depth) {
  volatile char filling[4096];
  filling[depth % 4096] = static_cast<char>(depth);
  return depth < 0 ? 0 : deeper(depth + 1) + filling[depth % 4096];
}

TEST(CrashReport, AThreadWithoutStackLeavesALine) {
  Ending ending = end_of_child([] { run_in_thread("deep", [] { ::_exit(deeper(1)); }); });
  EXPECT_TRUE(ending.by(SIGSEGV));
  EXPECT_EQ(ending.member("thread"), "deep");
  EXPECT_THAT(ending.backtrace(), HasSubstr("deeper"));
}

TEST(CrashReport, EverySignalKeepsItsStatusWhereverItCameFrom) {
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    Ending ending = end_of_child([signal] { ::kill(::getpid(), signal); });
    EXPECT_TRUE(ending.by(signal)) << signal << " " << ending.status;
    EXPECT_THAT(ending.said, HasSubstr("\"backtrace\":[\"")) << signal;
  }
}

// The kernel may report damaged memory before it is read; then no instruction is retried.
TEST(CrashReport, DamagedMemoryThatWasNotReadEndsTheProcessToo) {
  Ending ending = end_of_child([] {
    siginfo_t info{};
    info.si_signo = SIGBUS;
    info.si_code = BUS_MCEERR_AO;
    ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::gettid(), SIGBUS, &info);
  });
  EXPECT_TRUE(ending.by(SIGBUS)) << ending.status;
  EXPECT_EQ(ending.member("msg"), "the process ends: SIGBUS");
}

struct BrokenMessage : std::exception {
  const char* what() const noexcept override {
    static_cast<void>(read_through(nullptr));
    return "";
  }
};

// As with a damaged heap, which the readable form of names needs.
TEST(CrashReport, AReportThatFailsIsMadeAgainWithoutNames) {
  Ending ending = end_of_child([] { run_in_thread("broken", [] { throw BrokenMessage(); }); });
  EXPECT_TRUE(ending.by(SIGSEGV));
  EXPECT_THAT(ending.member("msg"), HasSubstr("BrokenMessage"));
  EXPECT_THAT(ending.frame(0), testing::MatchesRegex("@0x[0-9a-f]+"));
}

#endif

}  // namespace
}  // namespace sharedlock
