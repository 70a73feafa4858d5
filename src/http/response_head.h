#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/message.h"

namespace sharedlock::http {

// The value of the Date header, formatted anew only when the second has changed. Not thread-safe.
class DateText {
 public:
  // "Wed, 01 Jan 2025 00:00:00 GMT"; valid until the next call.
  std::string_view at(WallTime now);

 private:
  std::chrono::sys_seconds second_{std::chrono::seconds(-1)};
  std::array<char, 64> text_{};
  std::size_t size_ = 0;
};

enum class ConnectionHeader { none, close, keep_alive };

// The parts of a response's head that are not in the Response.
struct HeadFacts {
  std::string_view date;
  std::string_view request_id;
  ConnectionHeader connection;
};

// Whether a response with this status has a body at all, and with it a Content-Length.
bool may_have_body(int status);

// Appends the status line and headers, including the empty line. Content-Length is that of the response's body, even if
// the body is not sent because the method was HEAD.
void append_head(std::string& out, const Response& response, const HeadFacts& facts);

// Whether a client's X-Request-Id may be used in our answer and log: 1 to 128 characters of [A-Za-z0-9._:-/+=@].
bool is_sane_request_id(std::string_view id);

}  // namespace sharedlock::http
