#include "telemetry/profiler.h"

#include <dlfcn.h>
#include <gperftools/malloc_extension.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace sharedlock {

namespace {

template <class Function>
Function loaded(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_DEFAULT, name));
}

std::string text_of(int file) {
  struct stat facts{};
  if (::fstat(file, &facts) != 0) return {};
  std::string text(static_cast<std::size_t>(facts.st_size), '\0');
  ssize_t got = ::pread(file, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

}  // namespace

Profiler::Profiler()
    : start_(loaded<Start>("ProfilerStart")),
      stop_(loaded<Stop>("ProfilerStop")),
      heap_(::dlsym(RTLD_DEFAULT, "_ZN15MallocExtension8instanceEv")) {}

// The library writes to a path: it gets that of a file in memory.
Result<void> Profiler::start_cpu() {
  int file = ::memfd_create("cpu-profile", MFD_CLOEXEC);
  if (file < 0) return Error{Errc::unavailable, "there is no file for the profile"};
  std::string path = "/proc/self/fd/" + std::to_string(file);
  if (start_(path.c_str()) == 0) {
    ::close(file);
    return Error{Errc::unavailable, "the profiler does not start: another profile is being taken"};
  }
  file_ = file;
  return {};
}

Result<std::string> Profiler::stop_cpu() {
  stop_();
  int file = std::exchange(file_, -1);
  std::string profile = text_of(file);
  ::close(file);
  if (profile.empty()) return Error{Errc::unavailable, "the profiler has written nothing"};
  return profile;
}

std::string Profiler::heap() const {
  // The other functions are virtual, so nothing of the library needs to be linked.
  auto* extension = reinterpret_cast<MallocExtension* (*)()>(heap_)();
  std::string profile;
  extension->GetHeapSample(&profile);
  return profile;
}

}  // namespace sharedlock
