#pragma once

#include "sharedlock/error.h"

namespace sharedlock {

// The exit codes of our commands: the numbers of sysexits.h, if there is one.
inline constexpr int kExitNo = 1;  // the answer to a question
inline constexpr int kExitUsage = 64;
inline constexpr int kExitUnavailable = 69;  // no answer, or an inconclusive one
inline constexpr int kExitSoftware = 70;
inline constexpr int kExitNotAcquired = 75;  // another holds it
inline constexpr int kExitLost = 76;         // it was held, and no longer is
inline constexpr int kExitRefused = 77;      // the server refuses
inline constexpr int kExitNotExecutable = 126;
inline constexpr int kExitNotFound = 127;
inline constexpr int kExitSignal = 128;  // plus its number

int exit_code_of(client::Errc code);

}  // namespace sharedlock
