#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/flags.h"

namespace sharedlock {

// Flags shared by the commands. An unusable value is a parsing error. `into` must outlive the parsing.

Flag name_flag(std::string& into);                // NAME
Flag names_flag(std::vector<std::string>& into);  // NAME...
Flag namespace_flag(std::string& into);           // --namespace

// A flag or a positional that is one of a few words.
Flag choice_flag(const std::string& name, std::string& into, const std::vector<std::string>& choices,
                 const std::string& help);

// --instance
Flag instance_flag(std::string& into, const std::string& help);
// The same for a holder, where it is required.
Flag holders_instance_flag(std::string& into);

struct Bounds {
  std::chrono::seconds least{0};
  std::chrono::seconds most = std::chrono::seconds::max();
};
// Parses a duration such as "90s" or "1h30m", or a number of seconds, into `into`, rounded up to whole seconds. Returns
// what is wrong with it, or nothing.
std::string take_seconds(const std::string& text, Bounds bounds, std::chrono::seconds& into);

// The same as a flag. The previous value of `into` is its default.
Flag seconds_flag(const std::string& name, std::chrono::seconds& into, Bounds bounds, const std::string& help);

}  // namespace sharedlock
