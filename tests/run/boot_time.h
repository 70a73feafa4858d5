#pragma once

#include <cstdint>
#include <ctime>

namespace sharedlock::test {

// The guard's times: nanoseconds of CLOCK_BOOTTIME.
inline constexpr std::int64_t kSecond = 1'000'000'000;

inline std::int64_t boot_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

}  // namespace sharedlock::test
