#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
class Option;
}  // namespace CLI

// What pages and completions ask of the table of command lines.
namespace sharedlock {

// "lease grant"; empty for the program itself.
std::string path_of(const CLI::App& command);

// In the order in which they were added, without those that are not shown.
std::vector<const CLI::App*> subcommands_of(const CLI::App& command);
std::vector<const CLI::Option*> flags_of(const CLI::App& command);
std::vector<const CLI::Option*> positionals_of(const CLI::App& command);

// "--ttl", and what it takes: "DURATION"; empty: nothing.
std::string flag_name(const CLI::Option& flag);
std::string value_name(const CLI::Option& flag);
// "NAME", or "NAME..." where there may be several.
std::string positional_name(const CLI::Option& positional);

// What a value can be, where it is one of a few words: of "terminate|kill|ignore".
std::vector<std::string> choices_of(const CLI::Option& option);
bool is_file(const CLI::Option& option);

// Replaces `from` wherever it stands.
std::string replaced(std::string text, std::string_view from, std::string_view to);

}  // namespace sharedlock
