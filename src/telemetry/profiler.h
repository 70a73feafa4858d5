#pragma once

#include <string>

#include "base/result.h"

namespace sharedlock {

// CPU and heap profiles of this process by gperftools, in the formats that google-pprof reads. It is not linked: it
// works in a process that was started with its library preloaded, see app/profiler_restart.h. Thread-safe, but one CPU
// profile at a time is the caller's business.
class Profiler {
 public:
  // Looks for the library among what is loaded.
  Profiler();

  // False where the library is not loaded; the rest must not be called then.
  bool available() const { return start_ != nullptr && stop_ != nullptr && heap_ != nullptr; }

  // Begins to sample the stacks of all threads by the CPU time that they take. unavailable when a profile is being
  // taken already.
  Result<void> start_cpu();

  // Ends that, and returns the profile.
  Result<std::string> stop_cpu();

  // A sample of the memory that is allocated now; of every so many bytes one, see TCMALLOC_SAMPLE_PARAMETER.
  std::string heap() const;

 private:
  using Start = int (*)(const char* path);
  using Stop = void (*)();

  Start start_;
  Stop stop_;
  void* heap_;     // MallocExtension::instance, not cast here since its type is the library's
  int file_ = -1;  // in memory; the profile that is being taken
};

}  // namespace sharedlock
