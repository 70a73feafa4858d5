#pragma once

#include <exception>

namespace sharedlock {

// The last words of a process that ends by a fault of its own: one line on stderr that says why, in which thread or
// task, and what was being called. They are for the fault that nobody can make happen again.

enum class CrashLine { text, json };  // for people; like a line of the server's log

// From now on SIGABRT, SIGSEGV, SIGBUS, SIGFPE and SIGILL, and exceptions that nobody catches, leave such a line. After
// it the signal has its default effect, so the exit status and the core are what they would have been. A signal that
// somebody handles already (a sanitizer) is left to them. Functions are named as the linker knows them ("c++filt" reads
// that), in the line of an exception as C++ writes them. A reader of stderr that is stuck is waited for no longer than
// a second. Call it early, on the main thread; again to change the form of the line.
void report_crashes(CrashLine form);

// Ends the process because `escaped` left a task that nobody awaits. The line names the task by the function that began
// it, which `begun_at` is an address in (__builtin_return_address), and shows where the exception was thrown if that is
// known (see throw_sites.h). Then as std::terminate().
[[noreturn]] void end_for_escaped(const std::exception_ptr& escaped, const void* begun_at) noexcept;

// A stack for what is left to do when the calling thread's own is used up: report_crashes() needs one in each thread to
// tell of that. Of the thread that makes it, which must also destroy it. Without report_crashes() it is nothing.
class AlternateStack {
 public:
  AlternateStack();
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;
  ~AlternateStack();

 private:
  void* memory_ = nullptr;
};

}  // namespace sharedlock
