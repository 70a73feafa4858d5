#pragma once

#include "cli/command.h"

namespace sharedlock {

// Exit codes: 0, 1 when a request was not answered as it was meant to be, kExitUsage when a flag has no usable value.
Command bench_command();

}  // namespace sharedlock
