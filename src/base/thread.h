#pragma once

#include <pthread.h>

#include "base/crash_report.h"

namespace sharedlock {

// Make it first in the function that a thread runs. It gives the thread a name of at most 15 bytes, shown by tools and
// crash lines, and the means to report a stack overflow.
class NamedThread {
 public:
  explicit NamedThread(const char* name) { ::pthread_setname_np(::pthread_self(), name); }

 private:
  AlternateStack stack_;
};

}  // namespace sharedlock
