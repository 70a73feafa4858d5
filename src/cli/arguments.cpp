#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/algorithm/string.hpp>

#include "base/go_duration.h"

namespace sharedlock {

namespace {

using std::chrono::seconds;

// Of locks, namespaces and instances alike.
std::string why_no_name(const std::string& text) {
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  if (text.size() >= 3 && text.size() <= 64 && std::ranges::all_of(text, fits)) return {};
  return "'" + text + "' is none: 3 to 64 letters, digits, dashes and underscores";
}
const CLI::Validator& is_name() {
  static const CLI::Validator validator(why_no_name, "");
  return validator;
}

}  // namespace

void declare_name(CLI::App& command, std::string& into) {
  command.add_option("NAME", into, "The lock.")->required()->type_name("")->check(is_name());
}

void declare_names(CLI::App& command, std::vector<std::string>& into) {
  command.add_option("NAME", into, "The lock; several: all or none.")->required()->type_name("")->check(is_name());
}

void declare_namespace(CLI::App& command, std::string& into) {
  command.add_option("--namespace", into, "The lock's namespace.")
      ->capture_default_str()
      ->type_name("NAME")
      ->check(is_name());
}

CLI::Option& declare_instance(CLI::App& command, std::string& into, const std::string& help) {
  return *command.add_option("--instance", into, help)->type_name("ID")->check(is_name());
}

CLI::Option& declare_choice(CLI::App& command, const std::string& name, std::string& into,
                            const std::vector<std::string>& choices, const std::string& help) {
  std::string all = boost::algorithm::join(choices, "|");
  auto why_none = [choices, all](const std::string& text) {
    return std::ranges::count(choices, text) != 0 ? std::string() : "'" + text + "' is none of " + all;
  };
  auto* option = command.add_option(name, into, help)->type_name(all)->check(CLI::Validator(why_none, ""));
  return *option->capture_default_str();
}

seconds to_seconds(const std::string& flag, const std::string& text, Bounds bounds) {
  bool only_digits = text.find_first_not_of("0123456789") == std::string::npos;
  auto duration = parse_go_duration(only_digits ? text + 's' : text);
  if (!duration) throw CLI::ValidationError(flag, "'" + text + "' is no duration; good ones are 15s and 1m30s");
  auto whole = std::chrono::ceil<seconds>(*duration);
  if (whole < bounds.least || whole > bounds.most) {
    std::string least = "must be at least " + to_go_duration(bounds.least);
    bool endless = bounds.most == seconds::max();
    throw CLI::ValidationError(flag, endless ? least : least + ", and at most " + to_go_duration(bounds.most));
  }
  return whole;
}

void declare_seconds(CLI::App& command, const std::string& flag, seconds& into, Bounds bounds,
                     const std::string& help) {
  auto take = [flag, bounds, &into](const std::string& text) { into = to_seconds(flag, text, bounds); };
  auto* option = command.add_option_function<std::string>(flag, take, help)->type_name("DURATION");
  if (into != seconds::max()) option->default_str(to_go_duration(into));
}

}  // namespace sharedlock
