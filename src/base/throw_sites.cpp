#include "base/throw_sites.h"

#include <array>
#include <cstring>

namespace sharedlock {

namespace {

// While one exception travels, destructors may throw and catch a few others.
constexpr std::size_t kRemembered = 4;

struct ThrowSite {
  void* exception = nullptr;
  Backtrace backtrace;
};

struct ThrowSites {
  std::array<ThrowSite, kRemembered> sites;
  std::size_t newest = 0;
};

thread_local constinit ThrowSites t_thrown;

}  // namespace

void note_throw(void* exception) noexcept {
  t_thrown.newest = (t_thrown.newest + 1) % kRemembered;
  ThrowSite& site = t_thrown.sites[t_thrown.newest];
  site.exception = exception;
  site.backtrace = Backtrace::here();
}

const Backtrace* thrown_at(const std::exception_ptr& exception) noexcept {
  // The Itanium ABI's exception_ptr is a pointer to the object that was thrown.
  static_assert(sizeof exception == sizeof(void*));
  void* object = nullptr;
  std::memcpy(static_cast<void*>(&object), static_cast<const void*>(&exception), sizeof object);
  if (object == nullptr) return nullptr;
  // Addresses are reused, so search for the newest entry.
  for (std::size_t age = 0; age < kRemembered; ++age) {
    const ThrowSite& site = t_thrown.sites[(t_thrown.newest + kRemembered - age) % kRemembered];
    if (site.exception == object) return &site.backtrace;
  }
  return nullptr;
}

}  // namespace sharedlock
