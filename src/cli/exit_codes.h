#pragma once

#include "sharedlock/error.h"

namespace sharedlock {

// What our commands end with: the numbers of sysexits.h, where they have one.
inline constexpr int kExitNo = 1;  // to a question
inline constexpr int kExitUsage = 64;
inline constexpr int kExitUnavailable = 69;  // no answer, or none that settles it
inline constexpr int kExitSoftware = 70;
inline constexpr int kExitNotAcquired = 75;  // another holds it
inline constexpr int kExitLost = 76;         // it was held, and is no more
inline constexpr int kExitRefused = 77;      // the server will not
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;
inline constexpr int kExitSignal = 128;  // plus its number

int exit_code_of(client::Errc code);

}  // namespace sharedlock
