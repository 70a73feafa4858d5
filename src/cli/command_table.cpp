#include "cli/command_table.h"

#include <algorithm>
#include <boost/algorithm/string.hpp>
#include <iterator>

namespace sharedlock {

namespace {

bool is_positional(const Flag& flag) {
  return !flag.name.starts_with('-');
}

}  // namespace

std::string path_of(const std::string& group, const Command& command) {
  return group.empty() ? command.name : group + ' ' + command.name;
}

std::vector<Flag> flags_of(const Command& command) {
  std::vector<Flag> flags{help_flag()};
  std::ranges::remove_copy_if(command.flags, std::back_inserter(flags), is_positional);
  return flags;
}

std::vector<Flag> positionals_of(const Command& command) {
  std::vector<Flag> positionals;
  std::ranges::copy_if(command.flags, std::back_inserter(positionals), is_positional);
  return positionals;
}

std::string value_name(const Flag& flag) {
  bool takes_none = std::holds_alternative<bool*>(flag.target) || std::holds_alternative<Version>(flag.target);
  return takes_none ? std::string() : flag.value;
}

bool is_list(const Flag& positional) {
  return std::holds_alternative<std::vector<std::string>*>(positional.target);
}

std::string positional_name(const Flag& positional) {
  return positional.name + (is_list(positional) ? "..." : "");
}

std::vector<std::string> choices_of(const Flag& flag) {
  std::vector<std::string> choices;
  if (flag.value.find('|') != std::string::npos) {
    boost::algorithm::split(choices, flag.value, boost::algorithm::is_any_of("|"));
  }
  return choices;
}

bool is_file(const Flag& flag) {
  return flag.value == "FILE" || flag.value == "PATH";
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  boost::algorithm::replace_all(text, from, to);
  return text;
}

}  // namespace sharedlock
