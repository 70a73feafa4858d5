#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/flags.h"

// What pages and completions ask of the table of command lines.
namespace sharedlock {

// "lease grant", of a command in the group with this path; that of the program is empty.
std::string path_of(const std::string& group, const Command& command);

// In the order in which the help shows them: --help is the first.
std::vector<Flag> flags_of(const Command& command);
std::vector<Flag> positionals_of(const Command& command);

// What a flag takes: "DURATION"; empty: nothing.
std::string value_name(const Flag& flag);
// Whether there may be several.
bool is_list(const Flag& positional);
// "NAME", or "NAME..." where there may be several.
std::string positional_name(const Flag& positional);

// What a value can be, where it is one of a few words: of "terminate|kill|ignore".
std::vector<std::string> choices_of(const Flag& flag);
bool is_file(const Flag& flag);

// Replaces `from` wherever it stands.
std::string replaced(std::string text, std::string_view from, std::string_view to);

}  // namespace sharedlock
