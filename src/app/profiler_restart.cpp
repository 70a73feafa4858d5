#include "app/profiler_restart.h"

#include <sys/auxv.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

namespace sharedlock {

namespace {

// Empty in builds without profiles.
constexpr std::string_view kLibrary = SHAREDLOCK_PROFILER_LIBRARY;

constexpr char kPreload[] = "LD_PRELOAD";
// The mark of the restarted program.
constexpr char kRestarted[] = "SHARED_LOCK_RESTARTED";
// One of this many allocated bytes is sampled: the figure that gperftools recommends for production.
constexpr char kSampling[] = "TCMALLOC_SAMPLE_PARAMETER";
constexpr char kSampledBytes[] = "524288";

std::string_view variable(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// The process's name follows from the path it was started from, so the link alone is not enough.
std::string own_path() {
  std::error_code failed;
  std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", failed);
  bool usable = !failed && ::access(path.c_str(), X_OK) == 0;
  return usable ? path.string() : "/proc/self/exe";
}

}  // namespace

void restart_with_profiler(char** argv) {
  // The mark ends the loop: it does not depend on what the dynamic linker does with a preload, or leaves of it.
  if (kLibrary.empty() || !variable(kRestarted).empty()) return;
  std::string preload(variable(kPreload));
  if (preload.find(kLibrary) != std::string::npos) return;
  if (::getauxval(AT_SECURE) != 0) {
    std::fputs("shared-lock: there will be no profiles: a program with capabilities or set-user-id preloads nothing\n",
               stderr);
    return;
  }
  preload = preload.empty() ? std::string(kLibrary) : std::string(kLibrary) + ":" + preload;
  // There is only one thread yet. NOLINTBEGIN(concurrency-mt-unsafe)
  ::setenv(kRestarted, "1", /*overwrite=*/1);
  ::setenv(kPreload, preload.c_str(), /*overwrite=*/1);
  ::setenv(kSampling, kSampledBytes, /*overwrite=*/0);
  // NOLINTEND(concurrency-mt-unsafe)
  ::execv(own_path().c_str(), argv);
  std::fprintf(stderr, "shared-lock: there will be no profiles: can't start anew: %s\n",
               std::generic_category().message(errno).c_str());
}

}  // namespace sharedlock
