#pragma once

#include <cstddef>

namespace sharedlock {

// Broken invariants: what this program takes for true of itself is not, so nothing that it would do next is known to be
// safe, and it ends. What can fail by the machine, the network, a store or a caller is no invariant: that is a Result.

// Ends the process as std::abort() does (see crash_report.h), after the line "shared-lock: " with that text on stderr.
// The text says what is wrong, and has nothing in it that must not be logged. Thread-safe.
[[noreturn]] void end_for_broken(const char* what);

// The same unless that holds. In every build, so for what costs nothing to find out. Thread-safe.
inline void check_invariant(bool holds, const char* what_if_not) {
  if (!holds) [[unlikely]]
    end_for_broken(what_if_not);
}

// Whether structures that have a check_invariants() call it by themselves: in Debug builds (presets dev, asan, tsan and
// fuzz), see cmake/layers.cmake. Tests that try many orders of events call it after every step, in every build.
#ifdef SHAREDLOCK_CHECK_INVARIANTS
inline constexpr bool kChecksInvariants = true;
#else
inline constexpr bool kChecksInvariants = false;
#endif

// When a structure checks itself. A check looks at all of it, so the next one comes after as many changes as it had
// elements: a small one is checked every few changes, and a large one costs no more per change. Not thread-safe.
class CheckPace {
 public:
  // To be called after each change. True: check now; never true unless kChecksInvariants.
  bool due(std::size_t elements) {
    if constexpr (!kChecksInvariants) return false;
    if (changes_left_ > 0) {
      --changes_left_;
      return false;
    }
    changes_left_ = elements;
    return true;
  }

 private:
  std::size_t changes_left_ = 0;
};

}  // namespace sharedlock
