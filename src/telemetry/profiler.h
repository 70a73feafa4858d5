#pragma once

#include <string>

#include "base/result.h"

namespace sharedlock {

// CPU and heap profiles of this process by gperftools, in the formats that google-pprof reads. It is not linked: it
// works in a process that was started with its library preloaded, see app/profiler_restart.h. Thread-safe, but the
// caller must ensure that there is only one CPU profile at a time.
class Profiler {
 public:
  // Looks for the library among the loaded ones.
  Profiler();

  // False if the library is not loaded; then the rest must not be called.
  bool available() const { return start_ != nullptr && stop_ != nullptr && heap_ != nullptr; }

  // Begins to sample the stacks of all threads by the CPU time that they use. unavailable when a profile is already in
  // progress.
  Result<void> start_cpu();

  // Ends that, and returns the profile.
  Result<std::string> stop_cpu();

  // A sample of the memory allocated now: one of every so many bytes, see TCMALLOC_SAMPLE_PARAMETER.
  std::string heap() const;

 private:
  using Start = int (*)(const char* path);
  using Stop = void (*)();

  Start start_;
  Stop stop_;
  void* heap_;     // MallocExtension::instance, not cast here since its type is the library's
  int file_ = -1;  // in memory; the current profile
};

}  // namespace sharedlock
