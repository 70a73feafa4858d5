// Intercepts the C++ runtime's throw function, also for exceptions of the standard library, and records where it was
// called. Only for programs: a library must not do that to the program it is linked into.

#include <dlfcn.h>

#include <cstdlib>
#include <typeinfo>

#include "base/throw_sites.h"

namespace {

using Destroy = void (*)(void*);
using Throw = void (*)(void*, std::type_info*, Destroy);

Throw next_throw() {
  // The sanitizer's function if there is one, else the runtime's.
  static const auto next = reinterpret_cast<Throw>(::dlsym(RTLD_NEXT, "__cxa_throw"));
  if (next == nullptr) std::abort();
  return next;
}

}  // namespace

// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the runtime's name for it
extern "C" [[noreturn]] void __cxa_throw(void* exception, std::type_info* type, Destroy destroy) {
  sharedlock::note_throw(exception);
  next_throw()(exception, type, destroy);
  std::abort();
}
