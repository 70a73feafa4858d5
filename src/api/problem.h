#pragma once

#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "http/message.h"

namespace sharedlock {

// {"message":…}
http::Response message_problem(int status, std::string_view message);

// The lock API's answer to a failed operation, with an error id that also goes into the log: 503 when the outcome is
// unknown or the store has too much to do, 500 otherwise.
http::Response store_problem(const Error& error, const http::Request& request, Log& log);

}  // namespace sharedlock
