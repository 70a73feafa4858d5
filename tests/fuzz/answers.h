#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sharedlock::fuzz {

// A response as it came out of a session.
struct Answer {
  int status = 0;
  bool closes = false;  // says `Connection: close`
  std::string body;
};

// Takes what a session sent apart, and crashes unless it is a sequence of well-formed responses: status line, headers
// without a control character, the headers that each response has exactly once, a body of the length that was
// announced, nothing behind a response that closes. Responses to HEAD have no body.
std::vector<Answer> take_apart(std::string_view sent);

}  // namespace sharedlock::fuzz
