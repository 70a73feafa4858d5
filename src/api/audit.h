#pragma once

#include <string_view>

#include "base/log.h"
#include "http/message.h"

namespace sharedlock {

// Writes down, at every log level, that an administrator freed something: what, whose it was, who asked for it and why
// (`X-Reason`).
void audit_force_release(Log& log, const http::Request& request, std::string_view what, std::string_view owner,
                         bool released);

}  // namespace sharedlock
