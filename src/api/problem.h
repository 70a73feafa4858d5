#pragma once

#include <string>
#include <string_view>

#include "api/lock_codec.h"
#include "base/log.h"
#include "base/result.h"
#include "http/message.h"
#include "queue/types.h"

namespace sharedlock {

// {"message":…}
http::Response message_problem(int status, std::string_view message);

// The lock API's answers to a path or a body with these errors.
http::Response invalid_path(const ValidationErrors& errors);
http::Response invalid_body(const ValidationErrors& errors);

// The lock API's answer to a failed operation, with an error id that is also logged: 503 when the outcome is unknown or
// the store is overloaded, 500 otherwise.
http::Response store_problem(const Error& error, const http::Request& request, Log& log);

// For a store that does not answer, or gives answers that can't be believed.
inline constexpr std::string_view kStoreUnavailable = "Lock store unavailable";

// For a request that would have to wait when the limit of waiters is reached: 503 with Retry-After.
inline constexpr std::string_view kTooManyWaiters = "Too many clients wait in line";
http::Response too_many_waiters();

// For a client that ends its sending side while it waits in a queue, which counts as a disconnect, but still reads.
inline constexpr std::string_view kDisconnected =
    "The client ended its side of the connection while it waited in line, and so it left the line";

// The text of a 503 when a wait can't continue at this server (draining, store_lost).
std::string_view sent_elsewhere_because(WaitEnd end);

// The lock API's answer when a wait in a queue has ended without a decision: 400 (disconnected), 409 (superseded) or
// 503.
http::Response wait_problem(WaitEnd end);

}  // namespace sharedlock
