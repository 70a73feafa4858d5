#include "cli/command_table.h"

#include <CLI/CLI.hpp>
#include <boost/algorithm/string.hpp>

namespace sharedlock {

std::string path_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  if (!parent) return {};
  std::string path = path_of(*parent);
  return path.empty() ? command.get_name() : path + ' ' + command.get_name();
}

std::vector<const CLI::App*> subcommands_of(const CLI::App& command) {
  return command.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<const CLI::Option*> flags_of(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return option->nonpositional(); });
}

std::vector<const CLI::Option*> positionals_of(const CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return !option->nonpositional(); });
}

std::string flag_name(const CLI::Option& flag) {
  return "--" + flag.get_lnames().front();
}

std::string value_name(const CLI::Option& flag) {
  return flag.get_items_expected_max() == 0 ? std::string() : flag.get_type_name();
}

std::string positional_name(const CLI::Option& positional) {
  return positional.get_name() + (positional.get_items_expected_max() > 1 ? "..." : "");
}

std::vector<std::string> choices_of(const CLI::Option& option) {
  std::vector<std::string> choices;
  std::string type = option.get_type_name();
  if (type.find('|') != std::string::npos) boost::algorithm::split(choices, type, boost::algorithm::is_any_of("|"));
  return choices;
}

bool is_file(const CLI::Option& option) {
  std::string type = option.get_type_name();
  return type == "FILE" || type == "PATH";
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  boost::algorithm::replace_all(text, from, to);
  return text;
}

}  // namespace sharedlock
