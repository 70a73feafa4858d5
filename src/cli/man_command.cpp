#include <CLI/CLI.hpp>
#include <boost/algorithm/string.hpp>
#include <cctype>
#include <cstdio>
#include <set>

#include "cli/command.h"
#include "cli/command_table.h"

namespace sharedlock {

namespace {

constexpr const char* kOwnFlags = "Options";  // CLI11's name of the group that flags are in

constexpr const char* kEnvironment =
    ".SH ENVIRONMENT\n"
    "Of the commands that ask a server:\n"
    ".TP\n.B SHARED_LOCK_URL\nthe server, where there is no \\fB\\-\\-server\\fP;\n"
    ".TP\n.B SHARED_LOCK_TOKEN\nthe bearer token, where there is no \\fB\\-\\-token\\-file\\fP;\n"
    ".TP\n.B SHARED_LOCK_ADMIN_TOKEN\nthe secret of administrators, for \\fBforce\\-release\\fP.\n"
    ".PP\n"
    "Each setting of the server has a variable too; \\fBshared\\-lock config\\fP shows where each comes from.\n";

// Text as roff shows it.
std::string plain(std::string text) {
  text = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
  if (!text.empty() && (text.front() == '.' || text.front() == '\'')) text.insert(0, "\\&");
  return replaced(replaced(text, "\n.", "\n\\&."), "\n'", "\n\\&'");
}

std::string bold(const std::string& text) {
  return "\\fB" + plain(text) + "\\fP";
}
std::string italic(const std::string& text) {
  return "\\fI" + plain(text) + "\\fP";
}

class ManPage {
 public:
  explicit ManPage(const CLI::App& program) {
    text_ = ".TH SHARED\\-LOCK 1 \"\" \"" + plain(program.version()) +
            "\"\n.SH NAME\nshared\\-lock \\- a distributed lock service over HTTP\n.SH SYNOPSIS\n";
    for (const CLI::App* command : commands_of(program)) synopsis(*command);
    text_ += ".SH COMMANDS\n";
    for (const CLI::App* command : commands_of(program)) add(*command);
    text_ += more_groups_ + kEnvironment;
  }

  const std::string& text() const { return text_; }

 private:
  static std::vector<const CLI::App*> commands_of(const CLI::App& command) {
    std::vector<const CLI::App*> all;
    for (const CLI::App* child : subcommands_of(command)) {
      auto below = commands_of(*child);
      if (below.empty()) all.push_back(child);
      all.insert(all.end(), below.begin(), below.end());
    }
    return all;
  }

  void synopsis(const CLI::App& command) {
    text_ += ".PP\n" + bold("shared-lock " + path_of(command));
    for (const CLI::Option* positional : positionals_of(command)) {
      std::string name = italic(positional_name(*positional));
      text_ += ' ' + (positional->get_required() ? name : "[\\-\\- " + name + ']');
    }
    text_ += " [" + italic("option") + "...]\n";
  }

  void add(const CLI::App& command) {
    text_ += ".SS " + plain(path_of(command)) + '\n' + plain(command.get_description()) + '\n';
    for (const CLI::Option* positional : positionals_of(command)) {
      text_ += ".TP\n" + italic(positional_name(*positional)) + '\n' + plain(positional->get_description()) + '\n';
    }
    std::set<std::string> groups;
    for (const CLI::Option* flag : flags_of(command)) {
      if (flag->get_group() == kOwnFlags) {
        text_ += of_flag(*flag);
      } else {
        groups.insert(flag->get_group());
      }
    }
    for (const std::string& group : groups) {
      text_ += ".PP\nAnd the flags of " + plain(boost::algorithm::to_upper_copy(group)) + " below.\n";
      if (described_.insert(group).second) describe_group(command, group);
    }
    if (!command.get_footer().empty()) text_ += ".PP\n.nf\n" + plain(trimmed(command.get_footer())) + "\n.fi\n";
  }

  // Of flags that several commands share.
  void describe_group(const CLI::App& command, const std::string& group) {
    more_groups_ += ".SH " + plain(boost::algorithm::to_upper_copy(group)) + '\n';
    for (const CLI::Option* flag : flags_of(command)) {
      if (flag->get_group() == group) more_groups_ += of_flag(*flag);
    }
  }

  static std::string of_flag(const CLI::Option& flag) {
    std::string text = ".TP\n" + bold(flag_name(flag));
    if (std::string value = value_name(flag); !value.empty()) text += ' ' + italic(value);
    text += '\n' + plain(flag.get_description());
    if (std::string preset = flag.get_default_str(); !preset.empty()) text += " Default: " + plain(preset) + '.';
    return text + '\n';
  }

  static std::string trimmed(std::string text) {
    boost::algorithm::trim_right(text);
    return text;
  }

  std::string text_;
  std::string more_groups_;
  std::set<std::string> described_;
};

}  // namespace

Command add_man(CLI::App& program) {
  CLI::App& app = *program.add_subcommand("man", "Print the manual page: shared-lock man | man -l -");
  auto run = [&program] {
    std::string text = ManPage(program).text();
    bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
    return written ? 0 : kExitSoftware;
  };
  return {&app, run};
}

}  // namespace sharedlock
