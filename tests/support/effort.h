#pragma once

namespace sharedlock::test {

// True where code runs at full speed: optimized and without a sanitizer. Elsewhere big tests do less of the same.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
inline constexpr bool kFullSpeed = true;
#else
inline constexpr bool kFullSpeed = false;
#endif

}  // namespace sharedlock::test
