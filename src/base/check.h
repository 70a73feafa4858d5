#pragma once

#include <cstddef>

namespace sharedlock {

// Broken invariants: the program's own assumptions are wrong, so no next step is known to be safe, and it ends.
// Failures of the machine, the network, a store or a caller are no invariants: those are a Result.

// Ends the process as std::abort() does (see crash_report.h), after the line "shared-lock: " with that text on stderr.
// The text says what is wrong; it must be fit for the log. Thread-safe.
[[noreturn]] void end_for_broken(const char* what);

// The same, unless the condition holds. Checked in every build, so use it for cheap conditions. Thread-safe.
inline void check_invariant(bool holds, const char* what_if_not) {
  if (!holds) [[unlikely]]
    end_for_broken(what_if_not);
}

// Whether structures with a check_invariants() call it themselves: in Debug builds (presets dev, asan, tsan and fuzz),
// see cmake/layers.cmake. Tests that try many orders of events call it after every step, in every build.
#ifdef SHAREDLOCK_CHECK_INVARIANTS
inline constexpr bool kChecksInvariants = true;
#else
inline constexpr bool kChecksInvariants = false;
#endif

// When a structure checks itself. A check visits every element, so the next one comes after as many changes as there
// were elements: a small structure is checked every few changes, and a large one costs no more per change. Not
// thread-safe.
class CheckPace {
 public:
  // Call it after each change. True: check now; never true unless kChecksInvariants. `count` returns the number of
  // elements, and is called when a check is due only.
  template <class Count>
  bool due(Count count) {
    if constexpr (!kChecksInvariants) return false;
    if (changes_left_ > 0) {
      --changes_left_;
      return false;
    }
    changes_left_ = count();
    return true;
  }

 private:
  std::size_t changes_left_ = 0;
};

}  // namespace sharedlock
