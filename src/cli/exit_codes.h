#pragma once

#include "sharedlock/error.h"

namespace sharedlock {

// What our commands end with: the numbers of sysexits.h, where they have one.
enum ExitCode : int {
  kExitNo = 1,  // to a question
  kExitUsage = 64,
  kExitUnavailable = 69,  // no answer, or none that settles it
  kExitSoftware = 70,
  kExitNotAcquired = 75,  // another holds it
  kExitLost = 76,         // it was held, and is no more
  kExitRefused = 77,      // the server will not
  kExitNotExecutable = 126,
  kExitNotFound = 127,
  kExitSignal = 128,  // plus its number
};

int exit_code_of(client::Errc code);

}  // namespace sharedlock
