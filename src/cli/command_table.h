#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/flags.h"

// What pages and completions need to know about the table of command lines.
namespace sharedlock {

// "lease grant", for a command in the group with this path; the program's path is empty.
std::string path_of(const std::string& group, const Command& command);

// In the order of the help: --help is the first.
std::vector<Flag> flags_of(const Command& command);
std::vector<Flag> positionals_of(const Command& command);

// A flag's kind of value: "DURATION"; empty: none.
std::string value_name(const Flag& flag);
// Whether there may be several.
bool is_list(const Flag& positional);
// "NAME", or "NAME..." where there may be several.
std::string positional_name(const Flag& positional);

// The possible values, if they are a few words: of "terminate|kill|ignore".
std::vector<std::string> choices_of(const Flag& flag);
bool is_file(const Flag& flag);

// Replaces every occurrence of `from`.
std::string replaced(std::string text, std::string_view from, std::string_view to);

}  // namespace sharedlock
