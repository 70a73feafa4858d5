#pragma once

#include "cli/command.h"

namespace sharedlock {

// Exit codes: 0, 1 when a request got an unexpected answer, kExitUsage when a flag has an unusable value.
Command bench_command();

}  // namespace sharedlock
