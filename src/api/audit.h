#pragma once

#include <string_view>

#include "base/log.h"
#include "http/message.h"

namespace sharedlock {

// Logs, at every log level, that an administrator freed something: what, its owner, the client's address and the given
// reason (`X-Reason`).
void audit_force_release(Log& log, const http::Request& request, std::string_view what, std::string_view owner,
                         bool released);

}  // namespace sharedlock
