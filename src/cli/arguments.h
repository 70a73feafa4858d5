#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
class Option;
}  // namespace CLI

namespace sharedlock {

// What the commands have in common on their command lines. What has no usable value is an error of the parsing. `into`
// must outlive it.

void declare_name(CLI::App& command, std::string& into);                // NAME
void declare_names(CLI::App& command, std::vector<std::string>& into);  // NAME...
void declare_namespace(CLI::App& command, std::string& into);           // --namespace

// A flag or a positional that is one of a few words.
CLI::Option& declare_choice(CLI::App& command, const std::string& name, std::string& into,
                            const std::vector<std::string>& choices, const std::string& help);

// --instance
CLI::Option& declare_instance(CLI::App& command, std::string& into, const std::string& help);
inline constexpr const char* kHoldersInstance = "Who holds it: what acquire printed as instanceId.";

struct Bounds {
  std::chrono::seconds least{0};
  std::chrono::seconds most = std::chrono::seconds::max();
};
// A duration as in "90s" or "1h30m", or a number of seconds; rounded up to whole seconds. Throws CLI::ValidationError.
std::chrono::seconds to_seconds(const std::string& flag, const std::string& text, Bounds bounds);

// The same as a flag. What `into` holds before is its default.
void declare_seconds(CLI::App& command, const std::string& flag, std::chrono::seconds& into, Bounds bounds,
                     const std::string& help);

}  // namespace sharedlock
