#pragma once

#include <exception>

namespace sharedlock {

// The last words of a process that ends by its own fault: one line on stderr that says why, in which thread or task,
// and what was being called. They are for faults that can't be reproduced.

enum class CrashLine { text, json };  // for people; like a line of the server's log

// From now on SIGABRT, SIGSEGV, SIGBUS, SIGFPE and SIGILL, and uncaught exceptions leave such a line. After it the
// signal has its default effect, so the exit status and the core are what they would have been. A signal that already
// has a handler (a sanitizer's) keeps it. Functions have their linker names ("c++filt" reads those); in an exception's
// line, their C++ names. A stuck reader of stderr delays this by at most a second. Call it early, on the main thread;
// again to change the form of the line.
void report_crashes(CrashLine form);

// Ends the process because `escaped` left a task that nothing awaits. The line names the task by the function that
// began it, which contains the address `begun_at` (__builtin_return_address), and shows where the exception was thrown
// if that is known (see throw_sites.h). Then as std::terminate().
[[noreturn]] void end_for_escaped(const std::exception_ptr& escaped, const void* begun_at) noexcept;

// A stack to run on when the calling thread has used up its own: report_crashes() needs one in each thread to report
// that. It belongs to the thread that makes it, which must also destroy it. Without report_crashes() it does nothing.
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
