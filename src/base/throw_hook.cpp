// Stands before the function of the C++ runtime that throws, also for what the standard library throws, and notes where
// that was. Only for programs: a library must not do that to the program that it is linked to.

#include <dlfcn.h>

#include <cstdlib>
#include <typeinfo>

#include "base/throw_sites.h"

namespace {

using Destroy = void (*)(void*);
using Throw = void (*)(void*, std::type_info*, Destroy);

Throw next_throw() {
  // A sanitizer's, if there is one, else the runtime's.
  static const auto next = reinterpret_cast<Throw>(::dlsym(RTLD_NEXT, "__cxa_throw"));
  if (next == nullptr) std::abort();
  return next;
}

}  // namespace

// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): the name in the runtime
extern "C" [[noreturn]] void __cxa_throw(void* exception, std::type_info* type, Destroy destroy) {
  sharedlock::note_throw(exception);
  next_throw()(exception, type, destroy);
  std::abort();
}
