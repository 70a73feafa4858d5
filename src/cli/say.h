#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>

namespace sharedlock {

// Messages for people. They don't block the caller, even if stderr is a full pipe or a stopped terminal, or another
// process fills it at the same moment: then the message is dropped.

// One line on stderr, "shared-lock COMMAND: TEXT", made by shown_line(), and cut if it is longer than a page.
// `patience`: how long to wait for room on stderr, when nothing else is left to do.
void say(std::string_view command, std::string_view text,
         std::chrono::milliseconds patience = std::chrono::milliseconds(0));
inline constexpr std::chrono::milliseconds kForLastWords{1000};

// The same after a while, for what is not worth a message if it is over sooner: destroying the result cancels it.
std::jthread say_later(std::string command, std::string text);

// Writes as much as the file takes without waiting. -1 with errno: EAGAIN means that it takes nothing now.
ssize_t write_at_once(int fd, std::string_view text);

}  // namespace sharedlock
