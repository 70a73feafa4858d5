#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/answers.h"

namespace sharedlock::fuzz {

// What a handler was called with.
struct Seen {
  std::string path;
  std::string body;
};

struct Talk {
  std::vector<Answer> answers;
  std::vector<Seen> seen;
};

// Sends all of `input` to a session of its own, with the routes of the server and an empty memory store behind it, and
// then no more. In one piece; with a seed in pieces of 1 to 40 bytes that follow from it. Crashes when the session does
// not end, or answers what is not HTTP.
Talk talk(std::string_view input, std::optional<unsigned> seed);

}  // namespace sharedlock::fuzz
