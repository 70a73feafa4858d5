#include "base/crash_report.h"

#include <cxxabi.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <string_view>
#include <type_traits>

#include "base/crash_line.h"
#include "base/throw_sites.h"

namespace sharedlock {

namespace {

struct FatalSignal {
  int number;
  std::string_view name;
};
constexpr std::array<FatalSignal, 5> kFatalSignals{
    {{SIGABRT, "SIGABRT"}, {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}}};
constexpr std::size_t kAlternateStack = 64 * 1024;
constexpr std::size_t kLongestValue = 4096;  // of the 16 KiB that a line has

std::atomic<CrashLine> g_form{CrashLine::text};
std::atomic<bool> g_installed{false};
std::array<std::atomic<bool>, kFatalSignals.size()> g_is_ours{};  // false: another handler has the signal
std::atomic<bool> g_reported{false};
std::atomic<pid_t> g_reporting{0};  // the reporting thread

// What to report besides the backtrace; "" is left out.
struct Reason {
  std::string_view what;     // "SIGSEGV", or the type of an exception
  std::string_view message;  // of the exception
  std::string_view task;
};
// Of the reporting thread.
constinit Reason g_reason;
constinit Backtrace g_backtrace;

void add_member(CrashText& line, bool json, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  line.add(json ? ",\"" : ", ")
      .add(name)
      .add(json ? "\":\"" : " ")
      .add_plain(value.substr(0, kLongestValue))
      .add(json ? "\"" : "");
}

void add_head(CrashText& line, bool json, const Reason& reason) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  auto since_epoch = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  std::string_view what = reason.what.substr(0, kLongestValue);
  if (json) {
    line.add("{\"time\":\"").add_time(WallTime(std::chrono::duration_cast<WallTime::duration>(since_epoch)));
    line.add("\",\"level\":\"error\",\"msg\":\"the process ends: ").add_plain(what).add("\"");
  } else {
    line.add("shared-lock: the process ends: ").add_plain(what);
  }
  add_member(line, json, "error", reason.message);
  add_member(line, json, "task", reason.task);
  std::array<char, 16> thread{};
  ::prctl(PR_GET_NAME, thread.data());
  add_member(line, json, "thread", thread.data());
}

void add_frames(CrashText& line, bool json, const FrameNames& frames) {
  line.add(json ? ",\"backtrace\":[" : ", backtrace: ");
  constexpr std::size_t kLongestFrame = 512;
  for (std::size_t i = 0; i < frames.size() && line.has_room_for(kLongestFrame); ++i) {
    if (i > 0) line.add(json ? "," : " < ");
    if (json) line.add("\"");
    frames.add_to(line, i);
    if (json) line.add("\"");
  }
  line.add(json ? "]}\n" : "\n");
}

// One thread reports; the others wait until the process has ended.
bool may_report() {
  constexpr timespec kLongerThanAReport{.tv_sec = 3, .tv_nsec = 0};
  pid_t nobody = 0;
  if (g_reporting.compare_exchange_strong(nobody, ::gettid())) return true;
  if (nobody != ::gettid()) ::nanosleep(&kLongerThanAReport, nullptr);
  return false;
}

void write_line(FunctionNames names) {
  static constinit CrashText line;  // not on the stack, which may be small
  alignas(FrameNames) static std::array<std::byte, sizeof(FrameNames)> memory;
  std::signal(SIGPIPE, SIG_IGN);
  const auto& frames = *new (memory.data()) FrameNames(g_backtrace, names);
  static_assert(std::is_trivially_destructible_v<FrameNames>);
  bool json = g_form == CrashLine::json;
  line.clear();
  add_head(line, json, g_reason);
  add_frames(line, json, frames);
  write_patiently(STDERR_FILENO, line.text());
  g_reported = true;
}

// A handler that is not ours stays in place.
void default_from_now_on(int signal) {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (std::size_t i = 0; i < kFatalSignals.size(); ++i) {
    if (kFatalSignals[i].number == signal && g_is_ours[i]) ::sigaction(signal, &action, nullptr);
  }
}

void report_signal(int signal) {
  if (g_reported) return;
  // If the report itself fails, it is made again without the part that may have failed.
  if (g_reporting == ::gettid()) return write_line(FunctionNames::none);
  if (!may_report()) return;
  g_reason.what = "a signal";
  for (const FatalSignal& fatal : kFatalSignals) {
    if (fatal.number == signal) g_reason.what = fatal.name;
  }
  g_backtrace = Backtrace::here();
  write_line(FunctionNames::linker);
}

void on_signal(int signal, siginfo_t* info, void*) {
  int kept_errno = errno;
  sigset_t fatal_ones;
  ::sigemptyset(&fatal_ones);
  for (const FatalSignal& fatal : kFatalSignals) ::sigaddset(&fatal_ones, fatal.number);
  report_signal(signal);
  for (const FatalSignal& fatal : kFatalSignals) default_from_now_on(fatal.number);
  errno = kept_errno;
  // Returning retries the failing instruction, which fails again. Damaged memory that nothing has read (BUS_MCEERR_AO)
  // stopped no instruction.
  bool by_instruction = info->si_code > 0 && !(signal == SIGBUS && info->si_code == BUS_MCEERR_AO);
  if (by_instruction) return;
  // Sent by this process or another one. Process 1 of a container does not end by it.
  ::pthread_sigmask(SIG_UNBLOCK, &fatal_ones, nullptr);
  std::raise(signal);
  ::_exit(128 + signal);
}

void report_exception(const std::exception_ptr& escaped, std::string_view task) noexcept {
  const Backtrace* thrown = thrown_at(escaped);
  g_backtrace = thrown != nullptr ? *thrown : Backtrace::here();
  g_reason = {.what = "std::terminate", .message = {}, .task = task};
  if (!escaped) return write_line(FunctionNames::plain);
  try {
    std::rethrow_exception(escaped);
  } catch (const std::exception& error) {
    g_reason.what = typeid(error).name();
    g_reason.message = error.what();
    char* type = abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, nullptr);
    if (type != nullptr) g_reason.what = type;
    write_line(FunctionNames::plain);
  } catch (...) {
    g_reason.what = "an exception that is no std::exception";
    write_line(FunctionNames::plain);
  }
}

void on_terminate() {
  if (!g_reported && may_report()) report_exception(std::current_exception(), {});
  default_from_now_on(SIGABRT);
  std::abort();
}

}  // namespace

void report_crashes(CrashLine form) {
  g_form = form;
  if (g_installed.exchange(true)) return;
  static const AlternateStack of_the_main_thread;
  Backtrace::here();  // the first call may load a library
  std::set_terminate(&on_terminate);
  for (std::size_t i = 0; i < kFatalSignals.size(); ++i) {
    const FatalSignal& fatal = kFatalSignals[i];
    struct sigaction action{};
    action.sa_sigaction = &on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    struct sigaction before{};
    ::sigaction(fatal.number, nullptr, &before);
    bool is_handled = (before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL;
    g_is_ours[i] = !is_handled;
    if (!is_handled) ::sigaction(fatal.number, &action, nullptr);
  }
}

void end_for_escaped(const std::exception_ptr& escaped, const void* begun_at) noexcept {
  static constinit CrashText task;
  if (!g_reported && may_report()) {
    Backtrace begun;
    begun.add(reinterpret_cast<std::uintptr_t>(begun_at) - 1);  // behind its call, as return addresses are
    FrameNames(begun, FunctionNames::plain).add_to(task, 0);
    report_exception(escaped, task.text());
  }
  std::rethrow_exception(escaped);
}

AlternateStack::AlternateStack() {
  stack_t before{};
  if (!g_installed || ::sigaltstack(nullptr, &before) != 0 || (before.ss_flags & SS_DISABLE) == 0) return;
  void* memory =
      ::mmap(nullptr, kAlternateStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return;
  stack_t stack{};
  stack.ss_sp = memory;
  stack.ss_size = kAlternateStack;
  if (::sigaltstack(&stack, nullptr) == 0) memory_ = memory;
}

AlternateStack::~AlternateStack() {
  if (memory_ == nullptr) return;
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  ::sigaltstack(&none, nullptr);
  ::munmap(memory_, kAlternateStack);
}

}  // namespace sharedlock
