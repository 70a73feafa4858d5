#pragma once

#include <pthread.h>

#include "base/crash_report.h"

namespace sharedlock {

// To be made first in the function that a thread runs: gives the thread a name of at most 15 bytes, which tools show
// and the line of a crash says, and what it needs to tell of the end of its stack.
class NamedThread {
 public:
  explicit NamedThread(const char* name) { ::pthread_setname_np(::pthread_self(), name); }

 private:
  AlternateStack stack_;
};

}  // namespace sharedlock
